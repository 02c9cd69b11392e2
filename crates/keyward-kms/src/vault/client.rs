//! [`Vault`]: the connection; the calls over it.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Method, Url};
use zeroize::Zeroizing;

use super::auth::VaultAuth;
use super::error::{incomplete, of_answer, of_http};
use super::session::Sessions;
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline};

/// A connection to Vault or OpenBao, with its login. Clones share it.
///
/// The login is made when it is first needed, renewed while it is used, and made anew when it has
/// run out or was revoked. Nothing runs in between.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    address: Url,
    namespace: Option<HeaderValue>,
    sessions: Sessions,
}

impl Vault {
    /// Describes a connection: the server's address, as `https://HOST:8200`, and the login.
    pub fn builder(address: impl Into<String>, auth: VaultAuth) -> VaultBuilder {
        VaultBuilder {
            address: address.into(),
            auth,
            namespace: None,
            roots: Vec::new(),
            loopback: false,
        }
    }

    /// The variables that lead to the login.
    pub(super) fn variables(&self) -> Vec<OsString> {
        self.0.sessions.variables()
    }

    /// Calls with the session's token. When Vault refuses it and the token turns out to be no
    /// longer valid, a new session is made and the call repeated, once.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        // Before anything is sent, a login included.
        self.url(call)?;
        let sessions = &self.0.sessions;
        let token = sessions.token(self).await?;
        let answer = self.send(call, Some(&token)).await?;
        if !matches!(answer.status, 401 | 403) || sessions.is_alive(self, &token).await {
            return Ok(answer);
        }
        let token = sessions.replace(self, &token).await?;
        self.send(call, Some(&token)).await
    }

    /// Sends one request and reads its answer, whatever its status.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        deadline::runtime()?;
        let mut request = self
            .0
            .http
            .request(call.method.clone(), self.url(call)?)
            // Agents and proxies of Vault want to see that no browser was tricked into it.
            .header("x-vault-request", "true");
        if let Some(namespace) = &self.0.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            request = request.header("x-vault-token", token);
        }
        if let Some(body) = &call.body {
            let body = Bytes::from_owner(body.clone());
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(|error| of_http(&error))?;
        let status = answer.status().as_u16();
        // One allocation, so that no grown-out-of copy stays behind.
        let mut body = Zeroizing::new(Vec::with_capacity(MOST));
        while let Some(chunk) = answer.chunk().await.map_err(|error| of_http(&error))? {
            if body.len() + chunk.len() > MOST {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("an answer of more than {} KiB", MOST / 1024),
                    "keep the key in a secret of its own",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, Error> {
        let mut url = self.0.address.clone();
        {
            let invalid = |what| Error::new(ErrorKind::Invalid, what, "correct the mount or path");
            let mut segments =
                url.path_segments_mut().map_err(|()| invalid("the address has no path"))?;
            segments.pop_if_empty().push("v1");
            for part in call.path {
                for segment in part.trim_matches('/').split('/') {
                    // Such a segment would vanish, and the call reach another path.
                    if matches!(segment, "" | "." | "..") {
                        return Err(invalid("a part of the path is empty or only dots"));
                    }
                    segments.push(segment);
                }
            }
        }
        if let Some(version) = call.version {
            url.query_pairs_mut().append_pair("version", &version.to_string());
        }
        Ok(url)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("address", &self.0.address.origin().ascii_serialization())
            .field("namespace", &self.0.namespace)
            .field("login", &self.0.sessions)
            .finish_non_exhaustive()
    }
}

/// What a [`Vault`] is made from.
#[derive(Clone)]
#[must_use = "`build` makes the connection"]
pub struct VaultBuilder {
    address: String,
    auth: VaultAuth,
    namespace: Option<Name>,
    roots: Vec<Certificate>,
    loopback: bool,
}

impl VaultBuilder {
    /// Sets the namespace that everything is asked in.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(Name::new(namespace));
        self
    }

    /// Trusts the authorities of this PEM bundle, beside those of the system.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when there is no certificate in it.
    pub fn root_certificates(mut self, pem: &[u8]) -> Result<Self, Error> {
        let roots = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if roots.is_empty() {
            return Err(Error::new(
                ErrorKind::Invalid,
                "there is no certificate to trust",
                "give it as PEM",
            ));
        }
        self.roots.extend(roots);
        Ok(self)
    }

    /// Allows `http` to an address of this machine (`127.0.0.1`, `[::1]`): a Vault Agent's
    /// listener, or a server in development mode.
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Makes the connection. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an address that is not `https://HOST`, and for a namespace that
    /// no header can carry.
    pub fn build(self) -> Result<Vault, Error> {
        let invalid =
            |what: &'static str, fix: &'static str| Error::new(ErrorKind::Invalid, what, fix);
        let address = Url::parse(&self.address)
            .map_err(|_| invalid("Vault's address is no URL", "write it as https://HOST:8200"))?;
        if !address.username().is_empty()
            || address.password().is_some()
            || address.query().is_some()
            || address.fragment().is_some()
        {
            return Err(invalid(
                "Vault's address has more than a scheme, a host, a port and a path",
                "write it as https://HOST:8200",
            ));
        }
        let is_https = address.scheme() == "https";
        let is_local = address.scheme() == "http" && is_loopback(&address);
        let is_confidential = is_https || (is_local && self.loopback);
        if !is_confidential {
            return Err(invalid(
                "a token would go to Vault in the clear",
                "give an https address; http is for a loopback address that the code allows",
            ));
        }
        let namespace = match self.namespace {
            None => None,
            Some(namespace) => Some(HeaderValue::from_str(namespace.checked()?).map_err(|_| {
                invalid("the namespace has a character that no header can carry", "correct it")
            })?),
        };
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("keyward-kms/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .https_only(is_https)
            .tls_certs_merge(self.roots)
            .connect_timeout(CONNECT_TIMEOUT);
        if !is_https {
            // A proxy from the environment would get the token in the clear.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|_| {
            invalid("the HTTP client cannot be set up", "check the certificates to trust")
        })?;
        let sessions = Sessions::new(self.auth);
        Ok(Vault(Arc::new(Inner { http, address, namespace, sessions })))
    }
}

/// Without the address's user name and password, which it must not have.
impl fmt::Debug for VaultBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Url::parse(&self.address).ok();
        f.debug_struct("VaultBuilder")
            .field("address", &address.map(|url| url.origin().ascii_serialization()))
            .field("auth", &self.auth)
            .field("namespace", &self.namespace)
            .field("loopback", &self.loopback)
            .finish_non_exhaustive()
    }
}

/// One call.
pub(super) struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    version: Option<u64>,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Call<'a> {
    /// Reads what is at a path: its parts, each of which may have slashes.
    pub(super) fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, version: None, body: None }
    }

    pub(super) fn post(path: &'a [&'a str], body: Zeroizing<Vec<u8>>) -> Self {
        Self { method: Method::POST, path, version: None, body: Some(body) }
    }

    pub(super) fn version(mut self, version: Option<u64>) -> Self {
        self.version = version;
        self
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The answer of a call that was done.
    pub(super) fn done(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(of_answer(self.status, &self.body))
    }

    /// What it tells in a form of ours, which holds nothing secret but borrowed.
    pub(super) fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Error> {
        // The parser's error is dropped: it quotes what it stumbled over.
        serde_json::from_slice(&self.body).map_err(|_| incomplete())
    }
}

/// The largest answer that is read: well above a key and what stands beside it.
const MOST: usize = 256 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The name `localhost` is none: what it leads to is for a resolver to say.
fn is_loopback(url: &Url) -> bool {
    url.host_str()
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'))
        .and_then(|host| host.parse::<IpAddr>().ok())
        .is_some_and(|address| address.is_loopback())
}
