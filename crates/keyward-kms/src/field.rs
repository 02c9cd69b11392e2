//! Which part of a stored secret is the key: the whole of it, or one field of a JSON object.

use keyward::{ApiKey, KeySource, LoadError, LoadErrorKind};
use zeroize::Zeroizing;

use crate::json::{self, Found};
use crate::reference::Name;

/// Takes the key out of a secret's text: a field of it, or the whole.
pub(crate) fn key_of(
    mut text: Zeroizing<Vec<u8>>,
    field: Option<&Name>,
    source: &KeySource,
) -> Result<ApiKey, LoadError> {
    let invalid =
        |what: String, fix| LoadError::new(LoadErrorKind::Invalid, source.clone(), what, fix);
    let Some(field) = field else {
        if text.trim_ascii_start().starts_with(b"{") {
            return Err(invalid(
                "the secret is a JSON object".to_owned(),
                "name the field that holds the key (`with_field`)",
            ));
        }
        return parse(&mut text, source);
    };
    match json::text_at(&text, &[field.as_str()]) {
        Found::Text(mut text) => parse(&mut text, source),
        Found::Nothing => Err(invalid(
            format!("the secret has no field `{field}` with a text"),
            "correct the field's name",
        )),
        Found::NotJson => Err(invalid(
            "the secret is no JSON object".to_owned(),
            "store it as one, or name no field",
        )),
    }
}

fn parse(text: &mut Zeroizing<Vec<u8>>, source: &KeySource) -> Result<ApiKey, LoadError> {
    // EXPOSE: the door for keys that clouds keep. The buffer goes into the key as it is.
    ApiKey::parse(std::mem::take(&mut **text))
        .map_err(|error| LoadError::invalid(source.clone(), error))
}
