//! [`SlotFile`]: slots written down in a `keyward.toml`. A setting that is misspelt is an error, not
//! a default, and an error names slot and setting and never repeats a value.

use std::time::Duration;

use keyward_admin::{Scope, Scopes};
use toml::{Table, Value};

use super::danger::ShortSilence;
use super::{Slot, Stragglers, Verification};
use crate::{RotateError, RotateErrorKind};

/// The slots of a `keyward.toml`, in the order of their names.
///
/// ```
/// use keyward_rotate::SlotFile;
///
/// let file: SlotFile = r#"
///     [slot.billing]
///     project = "proj_abc"
///     service_account = "svc_acct_abc"
///     scopes = ["api.responses.write"]      # or "all"
///     store = "sealed:/var/lib/billing/openai#identity=systemd:age"
///     ## What follows need not be said; these are the defaults.
///     ttl = "30d"
///     rotate_after = "20d"
///     grace = "1h"
///     silence = "10m"
///     stragglers = "warn"                   # or "hold", "go_on"
///     retire = []                           # ids of keys that keyward did not make
///     verify = { path = "/models", patience = "2m" }
///     # role = "elsewhere"                  # see `Slot::with_role_elsewhere`
/// "#
/// .parse()?;
/// let slot = file.slot("billing").expect("it is there");
/// assert_eq!(slot.project().as_str(), "proj_abc");
/// # Ok::<(), keyward_rotate::RotateError>(())
/// ```
///
/// Durations are written as `30d`, `12h`, `1h 30m`; a day has 24 hours. `verify` may also have
/// `accept_under_scoped = true` or `false`: see [`Verification`]. A silence of less than a minute is
/// `danger.short_silence = { silence = "5s", reason = "…" }`: see
/// [`ShortSilence`](crate::danger::ShortSilence). A table `policy` may stand in the same file; it is
/// not read here.
#[derive(Clone, Debug)]
pub struct SlotFile {
    slots: Vec<Slot>,
}

impl SlotFile {
    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slot of this name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name() == name)
    }

    /// The slots, to be given to a rotator.
    #[must_use]
    pub fn into_slots(self) -> Vec<Slot> {
        self.slots
    }
}

impl std::str::FromStr for SlotFile {
    type Err = RotateError;

    fn from_str(text: &str) -> Result<Self, RotateError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].lines().count().max(1));
            let place = line.map(|line| format!(" at line {line}")).unwrap_or_default();
            misset(format!("the file is no TOML{place}"), "correct it there")
        })?;
        if let Some(other) = table.keys().find(|key| !["slot", "policy"].contains(&key.as_str())) {
            let what = format!("there is no such table: {}", shown(other));
            return Err(misset(what, "write slots as `[slot.NAME]`"));
        }
        let Some(Value::Table(slots)) = table.get("slot") else {
            return Err(misset("the file has no slot", "add one as `[slot.NAME]`"));
        };
        let read = |(name, value): (&String, &Value)| {
            let slot = match value {
                Value::Table(settings) => slot(name, settings),
                _ => Err(misset("a slot is a table", "write it as `[slot.NAME]`")),
            };
            slot.map_err(|error| error.in_slot(&shown_name(name)))
        };
        Ok(Self { slots: slots.iter().map(read).collect::<Result<_, _>>()? })
    }
}

const SETTINGS: [&str; 13] = [
    "project",
    "service_account",
    "scopes",
    "store",
    "ttl",
    "rotate_after",
    "grace",
    "silence",
    "stragglers",
    "retire",
    "role",
    "verify",
    "danger",
];

fn slot(name: &str, settings: &Table) -> Result<Slot, RotateError> {
    check_names(settings, &SETTINGS, "")?;
    let required = |name: &str| {
        text(settings, name)?.ok_or_else(|| {
            misset(
                format!("`{name}` is not set"),
                "set it: a slot has a project, a service account and scopes",
            )
        })
    };
    let (project, account) = (required("project")?, required("service_account")?);
    let mut slot = Slot::new(name, project, account, scopes(settings)?)?;
    if let Some(ttl) = duration(settings, "ttl", "")? {
        slot = slot.with_ttl(ttl)?;
    }
    if let Some(age) = duration(settings, "rotate_after", "")? {
        slot = slot.with_rotate_after(age)?;
    }
    if let Some(grace) = duration(settings, "grace", "")? {
        slot = slot.with_grace(grace);
    }
    if let Some(silence) = duration(settings, "silence", "")? {
        slot = slot.with_silence(silence);
    }
    if let Some(word) = text(settings, "stragglers")? {
        slot = slot.with_stragglers(match word {
            "go_on" => Stragglers::GoOn,
            "hold" => Stragglers::Hold,
            "warn" => Stragglers::Warn,
            _ => return Err(unfit("stragglers", "`hold`, `warn` or `go_on`")),
        });
    }
    for id in texts(settings, "retire")?.unwrap_or_default() {
        slot = slot.retiring(id);
    }
    match text(settings, "role")? {
        None => {}
        Some("elsewhere") => slot = slot.with_role_elsewhere(),
        Some(_) => return Err(unfit("role", "`elsewhere`, or leave it out")),
    }
    if let Some(reference) = text(settings, "store")? {
        slot = slot.with_store_reference(reference);
    }
    match settings.get("verify") {
        None => {}
        Some(Value::Table(table)) => slot = slot.with_verification(verification(table)?),
        Some(_) => return Err(unfit("verify", "a table such as `{ path = \"/models\" }`")),
    }
    match settings.get("danger") {
        None => {}
        Some(Value::Table(table)) => slot = with_dangers(slot, table)?,
        Some(_) => return Err(unfit("danger", "a table of exceptions")),
    }
    // The store is not there yet; its lag is looked at with the rotator.
    slot.checked(Duration::ZERO)
}

fn with_dangers(slot: Slot, settings: &Table) -> Result<Slot, RotateError> {
    check_names(settings, &["short_silence"], "danger.")?;
    let fit = "`{ silence = \"1s\", reason = \"why nobody loses a key by it\" }`";
    let unfit = || unfit("danger.short_silence", fit);
    let Some(Value::Table(short)) = settings.get("short_silence") else { return Err(unfit()) };
    check_names(short, &["silence", "reason"], "danger.short_silence.")?;
    let silence = duration(short, "silence", "danger.short_silence.")?.ok_or_else(unfit)?;
    let reason = text(short, "reason")?.ok_or_else(unfit)?;
    Ok(slot.with_short_silence(ShortSilence::new(silence, reason)?))
}

fn verification(settings: &Table) -> Result<Verification, RotateError> {
    check_names(settings, &["path", "accept_under_scoped", "patience"], "verify.")?;
    let mut verification = Verification::default();
    match settings.get("path") {
        None => {}
        Some(Value::String(path)) if path.starts_with('/') => {
            verification.path.clone_from(path);
        }
        Some(_) => return Err(unfit("verify.path", "a path such as `/models`")),
    }
    match settings.get("accept_under_scoped") {
        None => {}
        Some(Value::Boolean(yes)) => verification.accept_under_scoped = Some(*yes),
        Some(_) => return Err(unfit("verify.accept_under_scoped", "`true` or `false`")),
    }
    if let Some(patience) = duration(settings, "patience", "verify.")? {
        verification.patience = patience;
    }
    Ok(verification)
}

fn scopes(settings: &Table) -> Result<Scopes, RotateError> {
    let fit = "a list of scopes, or `\"all\"`";
    match settings.get("scopes") {
        None => Err(misset("`scopes` is not set", "list what the key may do, or set `\"all\"`")),
        Some(Value::String(word)) if word == "all" => Ok(Scopes::All),
        // Of the API an empty list means everything, so here it is nothing that can be said.
        Some(Value::Array(_)) => {
            let mut list = texts(settings, "scopes")?.unwrap_or_default().into_iter();
            let first = list.next().ok_or_else(|| unfit("scopes", fit))?;
            Ok(list.fold(Scopes::only(Scope::from(first)), Scopes::and))
        }
        Some(_) => Err(unfit("scopes", fit)),
    }
}

fn check_names(settings: &Table, known: &[&str], inside: &str) -> Result<(), RotateError> {
    match settings.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(other) => {
            let what = format!("there is no setting `{inside}{}`", shown(other));
            Err(misset(what, format!("it is one of: {}", known.join(", "))))
        }
    }
}

fn text<'a>(settings: &'a Table, name: &str) -> Result<Option<&'a str>, RotateError> {
    match settings.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(unfit(name, "a text")),
    }
}

fn texts<'a>(settings: &'a Table, name: &str) -> Result<Option<Vec<&'a str>>, RotateError> {
    let unfit = || unfit(name, "a list of texts");
    match settings.get(name) {
        None => Ok(None),
        Some(Value::Array(list)) => {
            let text = |value: &'a Value| value.as_str().filter(|text| !text.is_empty());
            list.iter()
                .map(|value| text(value).ok_or_else(unfit))
                .collect::<Result<_, _>>()
                .map(Some)
        }
        Some(_) => Err(unfit()),
    }
}

fn duration(settings: &Table, name: &str, inside: &str) -> Result<Option<Duration>, RotateError> {
    let Some(value) = settings.get(name) else { return Ok(None) };
    let parse = |text: &str| {
        let span: jiff::Span = text.parse().ok()?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(signed).ok()
    };
    match value.as_str().and_then(parse) {
        Some(duration) => Ok(Some(duration)),
        None => {
            Err(unfit(&format!("{inside}{name}"), "a duration such as `30d`, `12h` or `1h 30m`"))
        }
    }
}

fn unfit(name: &str, fit: &str) -> RotateError {
    misset(format!("`{name}` is not what it should be"), format!("set it to {fit}"))
}

fn misset(
    what: impl Into<std::borrow::Cow<'static, str>>,
    fix: impl Into<std::borrow::Cow<'static, str>>,
) -> RotateError {
    RotateError::new(RotateErrorKind::Configuration, what, fix)
}

/// A name that somebody wrote, masked if it may be a key in the wrong place.
fn shown(name: &str) -> String {
    keyward::find::scrub(name).escape_debug().take(64).collect()
}

fn shown_name(name: &str) -> String {
    if crate::tag::is_slot_name(name) { name.to_owned() } else { shown(name) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SlotFile;
    use crate::Stragglers;
    use keyward_testkit::{CANARY, assert_no_leak};
    use proptest::prelude::*;

    const LEAST: &str = r#"
        project = "proj_a"
        service_account = "svc_acct_a"
        scopes = ["api.responses.write", "api.model.request"]
    "#;

    fn error(text: &str) -> String {
        text.parse::<SlotFile>().expect_err(text).to_string()
    }

    #[test]
    fn many_slots_are_read() {
        let text = format!(
            "[policy]\npreset = \"production\"\n[slot.b]{LEAST}\n[slot.a]{LEAST}
            ttl = \"7d\"\nrotate_after = \"1d 12h\"\ngrace = \"15m\"\nsilence = \"90s\"
            stragglers = \"hold\"\nretire = [\"key_1\"]\nstore = \"vault:secret/a#openai\"
            role = \"elsewhere\"
            verify = {{ path = \"/responses\", accept_under_scoped = true, patience = \"30s\" }}"
        );
        let file: SlotFile = text.parse().unwrap();
        assert_eq!(file.slots().iter().map(super::Slot::name).collect::<Vec<_>>(), ["a", "b"]);
        let a = file.slot("a").unwrap();
        let hours = |n: u64| Duration::from_secs(n * 3600);
        assert_eq!((a.ttl(), a.rotate_after()), (hours(7 * 24), hours(36)));
        assert_eq!((a.grace().as_secs(), a.silence().as_secs()), (900, 90));
        assert_eq!(a.stragglers(), Stragglers::Hold);
        assert_eq!(a.retired_by_id().collect::<Vec<_>>(), ["key_1"]);
        assert_eq!(a.store_reference(), Some("vault:secret/a#openai"));
        assert_eq!(a.verification().patience.as_secs(), 30);
        assert!(a.accepts_under_scoped() && a.has_role_elsewhere());
        assert!(!file.slot("b").unwrap().accepts_under_scoped(), "it may read models");
    }

    #[test]
    fn an_error_names_slot_and_setting() {
        for (more, said) in [
            ("tll = \"7d\"", "slot `a`: there is no setting `tll`"),
            ("ttl = \"soon\"", "slot `a`: `ttl` is not what it should be; set it to a duration"),
            ("ttl = 30", "`ttl` is not"),
            ("ttl = \"-1d\"", "`ttl` is not"),
            ("ttl = \"2 years\"", "`ttl` is"),
            ("ttl = \"1h\"\nrotate_after = \"1h\"", "`rotate_after` is shorter than `ttl`"),
            ("role = \"none\"", "`role` is not"),
            ("grace = \"1h\"\nsilence = \"31m\"", "`silence` is longer than half of `grace`"),
            ("silence = \"59s\"", "`silence` is shorter than a minute"),
            ("grace = \"11d\"", "`grace` is longer than a replaced key lives"),
            ("danger = { short = 1 }", "there is no setting `danger.short`"),
            ("danger.short_silence = { silence = \"1s\" }", "`danger.short_silence` is not"),
            ("danger.short_silence = { silence = \"1s\", reason = \" \" }", "has no reason"),
            ("stragglers = \"wait\"", "`stragglers` is not"),
            ("retire = \"key_1\"", "`retire` is not"),
            ("verify = { pth = \"/x\" }", "there is no setting `verify.pth`"),
            ("verify = { path = \"x\" }", "`verify.path` is not"),
        ] {
            let error = error(&format!("[slot.a]{LEAST}\n{more}"));
            assert!(error.contains(said), "{more}: {error}");
            assert!(error.starts_with("slot `a`: "), "{error}");
        }
        for (text, said) in [
            ("", "no slot"),
            ("[slots.a]", "no such table: slots"),
            ("x = [", "no TOML at line 1"),
            (
                "[slot.A]\nproject = \"p\"\nservice_account = \"s\"\nscopes = \"all\"",
                "a slot's name",
            ),
            ("[slot.a]\nproject = \"p\"\nservice_account = \"s\"\nscopes = []", "`scopes` is not"),
            ("[slot.a]\nproject = \"p\"\nservice_account = \"s\"", "`scopes` is not set"),
            ("[slot.a]\nservice_account = \"s\"\nscopes = \"all\"", "`project` is not set"),
        ] {
            assert!(error(text).contains(said), "{text}: {}", error(text));
        }
    }

    #[test]
    fn a_short_silence_is_an_exception_with_a_reason() {
        let exception = "danger.short_silence = { silence = \"1s\", reason = \"a fake\" }";
        let file: SlotFile = format!("[slot.a]{LEAST}\n{exception}").parse().unwrap();
        let slot = file.slot("a").unwrap();
        assert_eq!(slot.silence().as_secs(), 1);
        assert_eq!(slot.short_silence_exception().unwrap().reason(), "a fake");
    }

    #[test]
    fn a_key_in_the_wrong_place_is_not_repeated() {
        let key = CANARY.text();
        for text in [
            format!("[slot.a]{LEAST}\nttl = \"{key}\""),
            format!("[slot.a]{LEAST}\n\"{key}\" = 1"),
            format!("[slot.a]{LEAST}\nverify = \"{key}\""),
            format!("[slot.\"{key}\"]{LEAST}"),
            format!("{key} = = 1"),
            format!("{key} = 1"),
            format!("[slot.a]\nscopes = \"{key}\"\nproject = \"p\"\nservice_account = \"s\""),
        ] {
            let error = text.parse::<SlotFile>().unwrap_err();
            assert_no_leak!(
                key,
                [("Display", format!("{error}")), ("Debug", format!("{error:?}"))]
            );
        }
    }

    #[test]
    fn a_key_in_the_place_of_an_id_or_a_reference_is_not_shown() {
        let key = CANARY.text();
        let text = format!("[slot.a]{LEAST}\nretire = [\"{key}\"]\nstore = \"{key}\"");
        let file: SlotFile = text.parse().unwrap();
        assert_no_leak!(key, format!("{file:?}"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", setting in "[a-z_]{1,16}", value in "\\PC{0,20}") {
            let _ = text.parse::<SlotFile>();
            let _ = format!("[slot.a]{LEAST}\n{setting} = {value:?}").parse::<SlotFile>();
        }
    }
}
