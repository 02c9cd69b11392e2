//! [`KeyKind`] and [`Vendor`]: what a key can be. Telling it from a text is `classify`'s.

use core::fmt;

/// What a key is.
///
/// It is told from the prefix and the marker, never from the length, and it is total: any bytes
/// have a kind, if only [`Unknown`](Self::Unknown). Kinds are added as OpenAI adds them.
///
/// `Display`, `as_str` and the `serde` form are the same word in `snake_case`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum KeyKind {
    /// A short-lived token from a workload identity exchange. No text is classified as one: see
    /// [`ApiKey::access_token`](crate::ApiKey::access_token).
    AccessToken,
    /// An organization's admin key (`sk-admin-…`): the Admin API and nothing else.
    Admin,
    /// A short-lived secret for a browser or a phone (`ek_…`): the Realtime API.
    EphemeralClient,
    /// A user key of before projects (`sk-…` with the marker in place, `sk-None-…`): it acts as a
    /// person across everything that person may do.
    LegacyUser,
    /// A key of another vendor.
    OtherVendor(Vendor),
    /// A person's key in one project (`sk-proj-…`).
    Project,
    /// A service account's key in one project (`sk-svcacct-…`, and `sk-<account>-…` of 2024).
    ServiceAccount,
    /// The token of somebody's dashboard session (`sess-…`).
    Session,
    /// None of these: a format newer than this version, a gateway's key, or no key at all.
    Unknown,
}

impl KeyKind {
    /// The kind as one word: `service_account`, `legacy_user`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::Admin => "admin",
            Self::EphemeralClient => "ephemeral_client",
            Self::LegacyUser => "legacy_user",
            Self::OtherVendor(_) => "other_vendor",
            Self::Project => "project",
            Self::ServiceAccount => "service_account",
            Self::Session => "session",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whose key it is, when it is not OpenAI's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the variants are the vendors' names")]
pub enum Vendor {
    Anthropic,
    AzureOpenAi,
    Cartesia,
    Cerebras,
    Fireworks,
    Gamma,
    Google,
    Groq,
    HackClub,
    Helicone,
    HuggingFace,
    LangSmith,
    Langfuse,
    MiniMax,
    Nvidia,
    OpenRouter,
    Perplexity,
    Pyx,
    Replicate,
    /// A prefix that several vendors share and OpenAI does not use (`sk_`).
    Several,
    /// Stripe, whose `sk_live_` and `sk_test_` Clerk, Paystack and Checkout.com use too.
    Stripe,
    Together,
    Voyage,
    Xai,
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anthropic => "Anthropic",
            Self::AzureOpenAi => "Azure OpenAI",
            Self::Cartesia => "Cartesia",
            Self::Cerebras => "Cerebras",
            Self::Fireworks => "Fireworks AI",
            Self::Gamma => "Gamma",
            Self::Google => "Google",
            Self::Groq => "Groq",
            Self::HackClub => "Hack Club",
            Self::Helicone => "Helicone",
            Self::HuggingFace => "Hugging Face",
            Self::LangSmith => "LangSmith",
            Self::Langfuse => "Langfuse",
            Self::MiniMax => "MiniMax",
            Self::Nvidia => "NVIDIA",
            Self::OpenRouter => "OpenRouter",
            Self::Perplexity => "Perplexity",
            Self::Pyx => "pyx",
            Self::Replicate => "Replicate",
            Self::Several => "a vendor other than OpenAI",
            Self::Stripe => "Stripe (or Clerk, Paystack, Checkout.com)",
            Self::Together => "Together AI",
            Self::Voyage => "Voyage AI",
            Self::Xai => "xAI",
        })
    }
}
