//! [`AesKey`]: a key on a token, which seals and opens.

use cryptoki::error::{Error as Module, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::error::Failure;
use super::token::{Token, is_logged_in};
use crate::reference::Name;
use crate::{Decrypt, Encrypt, Error, ErrorKind, Plaintext, SealContext};

/// An AES key on a [`Token`], by its label. It seals by AES-GCM, with the context as additional
/// data, by [`SealContext::to_bytes`].
///
/// # Format
///
/// A nonce of 12 bytes, then the sealed text, then its tag of 16 bytes. The nonce is made anew for
/// each text, at random, and given to the token: seal far fewer than 2³² texts by one key. A token
/// that puts a nonce of its own in the place of it, as some HSMs do, is obeyed. What is sealed is
/// opened once before it is answered, if the key may do that.
#[derive(Clone, Debug)]
pub struct AesKey {
    token: Token,
    label: Name,
}

impl AesKey {
    /// The AES key with this label (`CKA_LABEL`).
    #[must_use]
    pub fn new(token: &Token, label: impl Into<String>) -> Self {
        Self { token: token.clone(), label: Name::new(label) }
    }
}

impl Decrypt for AesKey {
    async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
        let (label, bound) = (self.label.checked()?.to_owned(), context.to_bytes());
        let Some((nonce, sealed)) = sealed.split_at_checked(NONCE_LEN) else {
            return Err(too_short());
        };
        if sealed.len() < TAG_LEN {
            return Err(too_short());
        }
        let (nonce, sealed) = (nonce.to_vec(), sealed.to_vec());
        self.token
            .call(move |session| {
                let key = find(session, &label)?;
                open(session, key, &nonce, &bound, &sealed)
                    .map_err(|error| Failure::of_module(&error))
            })
            .await
    }

    fn scheme(&self) -> &'static str {
        "pkcs11"
    }
}

impl Encrypt for AesKey {
    async fn encrypt(&self, plaintext: &[u8], context: &SealContext) -> Result<Vec<u8>, Error> {
        let (label, bound) = (self.label.checked()?.to_owned(), context.to_bytes());
        // EXPOSE: the door to a token, which seals it. The copy is for its thread, and is wiped.
        let text = Zeroizing::new(plaintext.to_vec());
        let mut nonce = vec![0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| {
            Error::new(ErrorKind::Unexpected, "there are no random numbers to be had", "try again")
        })?;
        self.token
            .call(move |session| {
                let key = find(session, &label)?;
                let told = |error| Failure::of_module(&error);
                // The token may write its own there.
                let mut given = nonce.clone();
                let sealed = {
                    let gcm = GcmParams::new(&mut given, &bound, TAG_BITS.into()).map_err(told)?;
                    session.encrypt(&Mechanism::AesGcm(gcm), key, &text).map_err(told)?
                };
                match open(session, key, &given, &bound, &sealed) {
                    // It is to seal alone.
                    Ok(_) | Err(Module::Pkcs11(RvError::KeyFunctionNotPermitted, _)) => {}
                    Err(error) => {
                        let failure = Failure::of_module(&error);
                        return Err(match failure.error.kind() {
                            ErrorKind::Undecryptable => Failure { error: unlike(), ..failure },
                            _ => failure,
                        });
                    }
                }
                Ok([given, sealed].concat())
            })
            .await
    }

    fn key_id(&self) -> &str {
        self.label.as_str()
    }
}

fn open(
    session: &Session,
    key: ObjectHandle,
    nonce: &[u8],
    bound: &[u8],
    sealed: &[u8],
) -> Result<Plaintext, Module> {
    let mut nonce = nonce.to_vec();
    let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, bound, TAG_BITS.into())?);
    session.decrypt(&gcm, key, sealed).map(Plaintext::from)
}

fn find(session: &Session, label: &str) -> Result<ObjectHandle, Failure> {
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(label.into()),
    ];
    let found = session.find_objects(&wanted).map_err(|error| Failure::of_module(&error))?;
    match found[..] {
        [key] => Ok(key),
        [] => Err(Failure {
            error: Error::new(
                ErrorKind::NotFound,
                "the token has no AES key with this label that its user may see",
                "make one, or correct the label",
            ),
            // Who is not logged in sees no private key.
            may_be_the_session: !is_logged_in(session),
        }),
        _ => Err(Failure::certain(Error::new(
            ErrorKind::KeyUnusable,
            "the token has several AES keys with this label",
            "give each a label of its own",
        ))),
    }
}

fn unlike() -> Error {
    Error::new(
        ErrorKind::KeyUnusable,
        "the token does not open what it has just sealed",
        "take a token that has CKM_AES_GCM with a nonce of 12 bytes",
    )
}

fn too_short() -> Error {
    Error::new(
        ErrorKind::Undecryptable,
        "it is too short to be what a token has sealed",
        "put the sealed text there, whole",
    )
}

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const TAG_BITS: u64 = 128;
