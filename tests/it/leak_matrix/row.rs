//! [`Row`]: a surface, and what each contender does there. Doing it is `measure`'s.

use std::process::Command;

/// What stands in the place where people put a `String`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contender {
    String,
    Secrecy,
    Keyward,
}

pub(super) const CONTENDERS: [Contender; 3] =
    [Contender::String, Contender::Secrecy, Contender::Keyward];

/// A surface, and what each contender does there.
pub(super) struct Row {
    pub(super) surface: &'static str,
    pub(super) probes: [Probe; 3],
    /// Why a `String` does not leak there either.
    pub(super) clean: Option<&'static str>,
    /// What keyward's contender is, where it is more than the type, or which test shows that it does
    /// not compile.
    pub(super) way: Option<&'static str>,
}

impl Row {
    pub(super) fn new(
        surface: &'static str,
        string: Probe,
        secrecy: Probe,
        keyward: Probe,
    ) -> Self {
        Self { surface, probes: [string, secrecy, keyward], clean: None, way: None }
    }

    pub(super) fn clean_because(mut self, why: &'static str) -> Self {
        self.clean = Some(why);
        self
    }

    pub(super) fn by(mut self, way: &'static str) -> Self {
        self.way = Some(way);
        self
    }
}

/// What a contender does at a surface; all that came out is what is searched.
#[derive(Clone, Copy)]
pub(super) enum Probe {
    /// It runs here, and tells what came out.
    Here(fn() -> String),
    /// It runs in a process of its own, of which all that it writes is what came out.
    Child { inside: fn(), ends: End },
    /// The same with something around it, which starts the process and tells what came out.
    Around { inside: fn(), around: fn(Command) -> String },
    /// There is nothing to run: the type has no such trait.
    Lacks { what: &'static str, has_it: bool },
    /// Another test shows it.
    Elsewhere,
}

/// How a process has to end, so that it is known to have come to the point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Well,
    InAPanic,
}

pub(super) fn here(run: fn() -> String) -> Probe {
    Probe::Here(run)
}

pub(super) fn child(inside: fn()) -> Probe {
    Probe::Child { inside, ends: End::Well }
}

pub(super) fn panics(inside: fn()) -> Probe {
    Probe::Child { inside, ends: End::InAPanic }
}

pub(super) fn around(around: fn(Command) -> String, inside: fn()) -> Probe {
    Probe::Around { inside, around }
}

/// That a type lacks a trait, as the compiler tells it: of two constants of one name, the type's own
/// comes before that of a trait, and it has its own only where the bound holds.
macro_rules! lacks {
    ($type:ty: $($bound:tt)+) => {{
        struct Asked<T: ?Sized>(std::marker::PhantomData<T>);

        #[allow(dead_code, reason = "where the bound holds")]
        trait Otherwise {
            const HAS_IT: bool = false;
        }

        impl<T: ?Sized> Otherwise for Asked<T> {}

        #[allow(dead_code, reason = "where the bound does not hold")]
        impl<T: ?Sized + $($bound)+> Asked<T> {
            const HAS_IT: bool = true;
        }

        $crate::leak_matrix::row::Probe::Lacks {
            what: stringify!($($bound)+),
            has_it: <Asked<$type>>::HAS_IT,
        }
    }};
}
pub(super) use lacks;

#[test]
fn what_a_type_has_is_told_from_what_it_lacks() {
    let Probe::Lacks { has_it, .. } = lacks!(String: std::fmt::Display) else { panic!() };
    assert!(has_it);
    let Probe::Lacks { has_it, .. } = lacks!(Vec<u8>: std::fmt::Display) else { panic!() };
    assert!(!has_it);
}
