//! [`measure`]: does what a row says, searches what came out, and judges.

use keyward_testkit::CANARY;
use keyward_testkit::leak::{Form, LeakDetector};

use super::child;
use super::row::{CONTENDERS, Contender, End, Probe, Row};

/// What came of a row.
pub(super) struct Measured {
    pub(super) surface: &'static str,
    pub(super) way: Option<&'static str>,
    pub(super) outcomes: [Outcome; 3],
    clean: Option<&'static str>,
}

/// What came of one contender at a surface.
pub(super) enum Outcome {
    Clean,
    /// Another test shows it.
    Elsewhere,
    Leaks(Form),
    /// It does not compile.
    Refused,
    /// The probe did not come to the point, so nothing is known.
    Unknown(String),
}

impl Outcome {
    /// How it is published.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Clean => "clean".to_owned(),
            Self::Elsewhere => "→".to_owned(),
            Self::Leaks(Form::Raw) => "**leaks**".to_owned(),
            Self::Leaks(form) => format!("**leaks** {form}"),
            Self::Refused => "no such call".to_owned(),
            Self::Unknown(_) => "?".to_owned(),
        }
    }

    pub(super) fn is_leak(&self) -> bool {
        matches!(self, Self::Leaks(_))
    }
}

impl Measured {
    /// What speaks against the row as it is claimed.
    pub(super) fn faults(&self) -> Vec<String> {
        let [string, _, keyward] = &self.outcomes;
        let mut faults = Vec::new();
        for (contender, outcome) in CONTENDERS.iter().zip(&self.outcomes) {
            if let Outcome::Unknown(why) = outcome {
                faults.push(format!("{}: {contender:?}: {why}", self.surface));
            }
        }
        if keyward.is_leak() {
            faults.push(format!("{}: keyward leaks", self.surface));
        }
        match (string.is_leak(), self.clean) {
            (false, None) if !matches!(string, Outcome::Elsewhere | Outcome::Unknown(_)) => {
                faults.push(format!("{}: a String does not leak; say why", self.surface));
            }
            (true, Some(why)) => {
                faults.push(format!("{}: a String leaks after all: {why}", self.surface));
            }
            _ => {}
        }
        faults
    }
}

pub(super) fn measure(row: &Row, detector: &LeakDetector) -> Measured {
    let outcomes = CONTENDERS.map(|contender| {
        let probe = row.probes[contender as usize];
        match seen(row.surface, contender, probe) {
            Ok(Some(seen)) => search(&seen, detector),
            Ok(None) => match probe {
                Probe::Lacks { .. } => Outcome::Refused,
                _ => Outcome::Elsewhere,
            },
            Err(why) => Outcome::Unknown(why),
        }
    });
    Measured { surface: row.surface, way: row.way, outcomes, clean: row.clean }
}

/// What came out, if there is anything to run.
fn seen(
    surface: &'static str,
    contender: Contender,
    probe: Probe,
) -> Result<Option<String>, String> {
    match probe {
        Probe::Here(run) => Ok(Some(run())),
        Probe::Child { ends, .. } => {
            let output = child::command(surface, contender).output().expect("a process");
            let seen = child::text(&output);
            let is_as_said = output.status.success() == (ends == End::Well);
            // A process that panics elsewhere, or does not find its row, fails too.
            let came_to_it = seen.contains(child::BEGUN);
            if is_as_said && came_to_it {
                Ok(Some(seen))
            } else {
                Err(format!("the process ended so: {}\n{seen}", output.status))
            }
        }
        Probe::Around { around, .. } => Ok(Some(around(child::command(surface, contender)))),
        Probe::Lacks { what, has_it } if has_it => Err(format!("it has {what}")),
        Probe::Lacks { .. } | Probe::Elsewhere => Ok(None),
    }
}

fn search(seen: &str, detector: &LeakDetector) -> Outcome {
    if seen.trim().is_empty() {
        return Outcome::Unknown("nothing came out".to_owned());
    }
    if let Some(leak) = detector.find(seen.as_bytes()).first() {
        return Outcome::Leaks(leak.form());
    }
    // The control for what is clean: that it would have been seen in this very output.
    let (before, after) = seen.as_bytes().split_at(seen.len() / 2);
    let planted = [before, CANARY.text().as_bytes(), after].concat();
    if detector.find(&planted).is_empty() {
        return Outcome::Unknown("the detector is blind in what came out".to_owned());
    }
    Outcome::Clean
}

#[test]
fn a_claim_that_is_not_so_is_a_fault() {
    fn key() -> String {
        CANARY.text().to_owned()
    }
    fn nothing() -> String {
        String::new()
    }
    fn words() -> String {
        "words".to_owned()
    }
    let detector = LeakDetector::new(CANARY.text());
    let faults = |probes: [fn() -> String; 3], clean: Option<&'static str>| {
        let probes = probes.map(Probe::Here);
        let row = Row { surface: "it", probes, clean, way: None };
        measure(&row, &detector).faults().join("; ")
    };
    assert_eq!(faults([key, key, words], None), "");
    assert_eq!(faults([words, key, words], Some("it is not printed")), "");
    assert_eq!(faults([key, words, key], None), "it: keyward leaks");
    assert_eq!(faults([words, words, words], None), "it: a String does not leak; say why");
    assert_eq!(faults([key, key, words], Some("no")), "it: a String leaks after all: no");
    assert_eq!(faults([key, key, nothing], None), "it: Keyward: nothing came out");
}
