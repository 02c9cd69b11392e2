//! [`Sessions`]: the token that calls are made with: how it is got, renewed and replaced.

use std::ffi::OsString;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyward::ApiKey;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::auth::{Method, VaultAuth};
use super::client::{Answer, Call, Vault};
use super::error::incomplete;
use crate::deadline::within;
use crate::json::{self, Found, object};
use crate::{Error, ErrorKind};

/// The token that calls are made with. There is one at a time, and one login at a time.
pub(super) struct Sessions {
    auth: VaultAuth,
    current: Mutex<Option<Session>>,
}

struct Session {
    token: HeaderValue,
    lease: Lease,
}

/// How long a token lives, as far as that is known.
#[derive(Clone, Copy)]
struct Lease {
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
    renewable: bool,
}

impl Sessions {
    pub(super) fn new(auth: VaultAuth) -> Self {
        Self { auth, current: Mutex::new(None) }
    }

    pub(super) fn variables(&self) -> Vec<OsString> {
        self.auth.variables()
    }

    /// The token to call with, renewed or got anew if its time has come.
    pub(super) async fn token(&self, vault: &Vault) -> Result<HeaderValue, Error> {
        let mut current = self.current.lock().await;
        if let Some(session) = &mut *current {
            match session.lease.due(Instant::now()) {
                Due::Nothing => return Ok(session.token.clone()),
                // Within a limit of its own: the rest of the caller's time is for the call.
                Due::Renewal => match within(RENEWAL, renew(vault, &session.token)).await {
                    Ok(lease) => {
                        session.lease = lease;
                        return Ok(session.token.clone());
                    }
                    // Vault cannot be asked just now, and the token is good for some time yet. Not
                    // every call until then waits for the renewal.
                    Err(error) if error.is_retryable() && session.lease.put_off(Instant::now()) => {
                        return Ok(session.token.clone());
                    }
                    Err(_) => {}
                },
                Due::Replacement => {}
            }
        }
        let session = self.log_in(vault).await?;
        Ok(current.insert(session).token.clone())
    }

    /// A token in place of one that is no longer valid. If another call has replaced it already,
    /// that one.
    pub(super) async fn replace(
        &self,
        vault: &Vault,
        refused: &HeaderValue,
    ) -> Result<HeaderValue, Error> {
        let mut current = self.current.lock().await;
        if let Some(session) = &*current
            && session.token != *refused
        {
            return Ok(session.token.clone());
        }
        *current = None;
        let session = self.log_in(vault).await?;
        if session.token == *refused {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "Vault does not accept the token any more",
                "put a new one where it is loaded from",
            ));
        }
        Ok(current.insert(session).token.clone())
    }

    /// Whether a token that was refused is valid all the same: then it is the policy that refuses,
    /// and a new login would leave one more token behind and change nothing.
    pub(super) async fn is_alive(&self, vault: &Vault, token: &HeaderValue) -> bool {
        let call = Call::get(&["auth/token/lookup-self"]);
        // An answer that does not tell is taken for a yes.
        vault.send(&call, Some(token)).await.map_or(true, |answer| !is_refusal(answer.status))
    }

    async fn log_in(&self, vault: &Vault) -> Result<Session, Error> {
        let secret = self.auth.secret().await?;
        // EXPOSE: what a login proves itself by goes to Vault, as the header or in the body.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = secret.expose_secret().as_bytes();
        let (mount, body) = match &self.auth.method {
            Method::AppRole { mount, role_id } => {
                (mount, object(&[("role_id", role_id.checked()?.as_bytes()), ("secret_id", text)]))
            }
            Method::Kubernetes { mount, role } => {
                (mount, object(&[("role", role.checked()?.as_bytes()), ("jwt", text)]))
            }
            Method::Token => {
                let token = header(text)?;
                let lease = look_up(vault, &token).await?;
                return Ok(Session { token, lease });
            }
        };
        let path = ["auth", mount.checked()?, "login"];
        let answer = vault.send(&Call::post(&path, body), None).await?;
        if matches!(answer.status, 400 | 401 | 403) {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                format!("Vault refuses the login at {} ({})", self.auth.method, answer.status),
                "check the role, what it is bound to, and that its secret is still valid",
            ));
        }
        let answer = answer.done()?;
        let Found::Text(token) = json::text_at(&answer.body, &["auth", "client_token"]) else {
            return Err(incomplete());
        };
        let lease = answer.read::<Granted>()?.auth.lease();
        // Through a key, so that what no header can carry is refused.
        let token = ApiKey::issued(token.to_vec()).map_err(|_| incomplete())?;
        // EXPOSE: the token goes into the header of the calls that follow.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let token = header(token.expose_secret().as_bytes())?;
        Ok(Session { token, lease })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.auth, f)
    }
}

async fn renew(vault: &Vault, token: &HeaderValue) -> Result<Lease, Error> {
    let call = Call::post(&["auth/token/renew-self"], object(&[]));
    let answer = vault.send(&call, Some(token)).await?.done()?;
    Ok(answer.read::<Granted>()?.auth.lease())
}

/// What Vault knows of a token that it did not give us itself.
async fn look_up(vault: &Vault, token: &HeaderValue) -> Result<Lease, Error> {
    #[derive(Deserialize)]
    struct Known {
        data: Data,
    }

    #[derive(Deserialize)]
    struct Data {
        ttl: u64,
        #[serde(default)]
        renewable: bool,
    }

    let answer: Answer = vault.send(&Call::get(&["auth/token/lookup-self"]), Some(token)).await?;
    if is_refusal(answer.status) {
        // Its policy may not let it ask. If it is not valid, the call itself will tell.
        return Ok(Lease { renew_at: None, ends_at: None, renewable: false });
    }
    let Known { data } = answer.done()?.read()?;
    Ok(Lease::of(data.ttl, data.renewable, Instant::now()))
}

#[derive(Deserialize)]
struct Granted {
    auth: Grant,
}

#[derive(Deserialize)]
struct Grant {
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl Grant {
    fn lease(&self) -> Lease {
        Lease::of(self.lease_duration, self.renewable, Instant::now())
    }
}

impl Lease {
    /// A token is renewed or replaced when two thirds of its time are over. One of 0 seconds does
    /// not end.
    fn of(seconds: u64, renewable: bool, now: Instant) -> Self {
        let after = |duration| now.checked_add(duration);
        let whole = (seconds > 0).then(|| Duration::from_secs(seconds));
        Self {
            renew_at: whole.and_then(|whole| after(whole * 2 / 3)),
            ends_at: whole.and_then(after),
            renewable,
        }
    }

    /// Lets a quarter of the time that is left pass before the next renewal. `false` if none is.
    fn put_off(&mut self, now: Instant) -> bool {
        let left = self.ends_at.map(|end| end.saturating_duration_since(now));
        let is_left = left.is_none_or(|left| !left.is_zero());
        self.renew_at = left.and_then(|left| now.checked_add(left / 4));
        is_left
    }

    fn due(&self, now: Instant) -> Due {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        match (is_over(self.renew_at), is_over(self.ends_at)) {
            (false, _) => Due::Nothing,
            (true, false) if self.renewable => Due::Renewal,
            (true, _) => Due::Replacement,
        }
    }
}

/// What a token needs before it is used.
#[derive(Debug, Eq, PartialEq)]
enum Due {
    Nothing,
    Renewal,
    Replacement,
}

/// How long a renewal may take.
const RENEWAL: Duration = Duration::from_secs(2);

fn is_refusal(status: u16) -> bool {
    matches!(status, 401 | 403)
}

/// A token as a header's value, in one buffer that is wiped.
fn header(token: &[u8]) -> Result<HeaderValue, Error> {
    let token = Zeroizing::new(token.to_vec());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(token)).map_err(|_| {
        Error::new(ErrorKind::Invalid, "the token cannot stand in a header", "check the token")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Vault that takes the connection and says nothing. Without a limit this would not end.
    #[test]
    fn a_renewal_that_is_not_answered_does_not_take_the_time_of_the_call() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let auth = VaultAuth::token(keyward::FileLoader::new("/nowhere"));
        let vault = Vault::builder(address, auth.clone()).allow_loopback().build().unwrap();
        let token = HeaderValue::from_static("t");
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        let lease = Lease { renew_at: Some(now), ends_at: Some(now + hour), renewable: true };
        let mut sessions = Sessions::new(auth);
        sessions.current = Mutex::new(Some(Session { token: token.clone(), lease }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let limit = Duration::from_secs(60);
            let first = tokio::time::timeout(limit, sessions.token(&vault)).await.unwrap();
            assert!(first.unwrap() == token);
            let due = sessions.current.lock().await.as_ref().map(|s| s.lease.due(Instant::now()));
            assert_eq!(due, Some(Due::Nothing), "the next call would wait too");
        });
    }

    #[test]
    fn a_renewal_is_put_off_while_the_token_is_good() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (at, is_left, before, since) in [
            (2400, true, 2699, 2700),
            (3200, true, 3299, 3300),
            // It ended while the renewal was waited for.
            (3600, false, 3599, 3600),
            (4000, false, 3999, 4000),
        ] {
            let mut lease = Lease::of(3600, true, now);
            assert_eq!(lease.put_off(after(at)), is_left, "{at}");
            assert_eq!(lease.due(after(before)), Due::Nothing, "{at}");
            assert!(lease.due(after(since)) != Due::Nothing, "{at}");
        }
        let mut endless = Lease::of(0, true, now);
        assert!(endless.put_off(now));
        assert_eq!(endless.due(after(1 << 30)), Due::Nothing);
    }

    #[test]
    fn a_token_is_renewed_in_its_last_third_and_replaced_after_its_end() {
        for (seconds, renewable, after, expected) in [
            (3600, true, 0, Due::Nothing),
            (3600, true, 2399, Due::Nothing),
            (3600, true, 2400, Due::Renewal),
            (3600, true, 3599, Due::Renewal),
            (3600, true, 3600, Due::Replacement),
            (3600, false, 2399, Due::Nothing),
            (3600, false, 2400, Due::Replacement),
            (0, true, 1 << 30, Due::Nothing),
            (0, false, 1 << 30, Due::Nothing),
            (u64::MAX / 8, true, 1 << 30, Due::Nothing),
        ] {
            let now = Instant::now();
            let lease = Lease::of(seconds, renewable, now);
            let due = lease.due(now + Duration::from_secs(after));
            assert_eq!(due, expected, "{seconds} {renewable} {after}");
        }
    }
}
