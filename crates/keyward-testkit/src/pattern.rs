//! The small pattern language of the key table: parsed once, then a text made at each call.

use std::fmt;

use crate::base64;
use crate::rng::KeyRng;

/// The eight letters in the middle of OpenAI's keys: base64 of "OpenAI".
pub const MARKER: &str = "T3BlbkFJ";

/// One of: a character, a set, a choice, a repetition, an encoding of an inner pattern.
pub(crate) enum Pattern {
    Base64(&'static [u8; 64], Box<Self>),
    Choice(Vec<Self>),
    Literal(char),
    Marker,
    Repeat(Box<Self>, usize, usize),
    Sequence(Vec<Self>),
    Set(Vec<char>),
}

impl Pattern {
    pub(crate) fn parse(source: &str) -> Result<Self, PatternError> {
        let mut parser = Parser { rest: source };
        let pattern = parser.choice()?;
        if parser.rest.is_empty() { Ok(pattern) } else { Err(parser.error("an end")) }
    }

    pub(crate) fn generate(&self, rng: &mut KeyRng) -> String {
        let mut out = String::new();
        self.generate_into(rng, &mut out);
        out
    }

    fn generate_into(&self, rng: &mut KeyRng, out: &mut String) {
        match self {
            Self::Base64(alphabet, inner) => {
                let inner = inner.generate(rng);
                out.push_str(&base64::encode(alphabet, inner.as_bytes()));
                if *alphabet == base64::STANDARD {
                    out.extend(std::iter::repeat_n('=', (3 - inner.len() % 3) % 3));
                }
            }
            Self::Choice(branches) => branches[rng.below(branches.len())].generate_into(rng, out),
            Self::Literal(c) => out.push(*c),
            Self::Marker => out.push_str(MARKER),
            Self::Repeat(inner, min, max) => {
                let times = if min == max { *min } else { min + rng.below(max - min + 1) };
                for _ in 0..times {
                    inner.generate_into(rng, out);
                }
            }
            Self::Sequence(parts) => parts.iter().for_each(|part| part.generate_into(rng, out)),
            Self::Set(chars) => out.push(chars[rng.below(chars.len())]),
        }
    }
}

/// What the parser wanted, and where.
#[derive(Debug)]
pub(crate) struct PatternError {
    wanted: &'static str,
    rest: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was expected before `{}`", self.wanted, self.rest)
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn choice(&mut self) -> Result<Pattern, PatternError> {
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Pattern::Choice(branches) })
    }

    fn sequence(&mut self) -> Result<Pattern, PatternError> {
        let mut parts = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            if matches!(next, '|' | ')' | '}') {
                break;
            }
            let atom = self.atom()?;
            parts.push(self.quantified(atom)?);
        }
        Ok(Pattern::Sequence(parts))
    }

    fn atom(&mut self) -> Result<Pattern, PatternError> {
        if self.eat("{marker}") {
            return Ok(Pattern::Marker);
        }
        for (open, alphabet) in [("{base64:", base64::STANDARD), ("{base64url:", base64::URL_SAFE)]
        {
            if self.eat(open) {
                let inner = self.choice()?;
                self.expect("}", "a closing brace")?;
                return Ok(Pattern::Base64(alphabet, Box::new(inner)));
            }
        }
        if self.eat("(") {
            let inner = self.choice()?;
            self.expect(")", "a closing parenthesis")?;
            return Ok(inner);
        }
        if self.eat("[") {
            return self.set();
        }
        let escaped = self.eat("\\");
        match self.next() {
            Some('{' | '[' | ']') if !escaped => Err(self.error("an escape or an atom")),
            Some(c) => Ok(Pattern::Literal(c)),
            None => Err(self.error("an atom")),
        }
    }

    fn set(&mut self) -> Result<Pattern, PatternError> {
        let mut chars = Vec::new();
        while !self.eat("]") {
            let first = self.next().ok_or_else(|| self.error("a closing bracket"))?;
            // A dash at the end of a set stands for itself.
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                let last = self.next().ok_or_else(|| self.error("the end of a range"))?;
                chars.extend(first..=last);
            } else {
                chars.push(first);
            }
        }
        if chars.is_empty() {
            Err(self.error("a member of the set"))
        } else {
            Ok(Pattern::Set(chars))
        }
    }

    fn quantified(&mut self, atom: Pattern) -> Result<Pattern, PatternError> {
        let digits = self
            .rest
            .strip_prefix('{')
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if !digits {
            return Ok(atom);
        }
        self.expect("{", "a brace")?;
        let min = self.number()?;
        let max = if self.eat(",") { self.number()? } else { min };
        self.expect("}", "a closing brace")?;
        if min > max {
            return Err(self.error("a rising range"));
        }
        Ok(Pattern::Repeat(Box::new(atom), min, max))
    }

    fn number(&mut self) -> Result<usize, PatternError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = digits.parse().map_err(|_| self.error("a number"))?;
        self.rest = rest;
        Ok(number)
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str, wanted: &'static str) -> Result<(), PatternError> {
        if self.eat(text) { Ok(()) } else { Err(self.error(wanted)) }
    }

    fn error(&self, wanted: &'static str) -> PatternError {
        PatternError { wanted, rest: self.rest.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(source: &str) -> String {
        Pattern::parse(source).unwrap().generate(&mut KeyRng::seeded(5))
    }

    #[test]
    fn literals_escapes_and_the_marker() {
        assert_eq!(make("$\\{X\\}.*-"), "${X}.*-");
        assert_eq!(make("a{marker}b"), format!("a{MARKER}b"));
    }

    #[test]
    fn repetition_takes_sets_groups_and_ranges() {
        assert_eq!(make("(ab){3}c{2}"), "abababcc");
        let text = make("[0-9a]{2,4}");
        assert!((2..=4).contains(&text.len()));
        assert!(text.chars().all(|c| c.is_ascii_digit() || c == 'a'));
        assert!(["x", "y"].contains(&make("(x|y)").as_str()));
    }

    #[test]
    fn a_dash_at_the_end_of_a_set_is_a_dash() {
        assert_eq!(make("[-]{3}"), "---");
        assert!(make("[a_-]{40}").contains('-'));
    }

    #[test]
    fn encodings_hold_patterns() {
        assert_eq!(make("{base64:fo{2}ba}"), "Zm9vYmE=");
        assert_eq!(make("{base64url:\\{\\}}"), "e30");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for source in ["[a", "(a", "a{3,2}", "[]", "a]", "{nonsense}", "\\"] {
            assert!(Pattern::parse(source).is_err(), "{source}");
        }
    }
}
