//! The table of key formats: what the classifier knows, as data.
//!
//! **To add a format, add one line** to [`FORMATS`], with the most specific prefix first, and one
//! line to `keyward-testkit/data/key-shapes.tsv`, from which the tests generate keys. Go by prefix
//! and marker, never by length: project keys alone had four lengths in two years (51, 56, 132 and
//! 164 characters), and every change broke classifiers that counted.
//!
//! No list of formats is official. These were collected from the rule files, tests and
//! documentation of public scanners and SDKs, as of 2026-11.

use crate::kind::{KeyKind, Vendor};

/// Base64 of "OpenAI". It stands in the middle of most keys that OpenAI issues.
///
/// It proves nothing by itself: base64 of any text with "OpenAI" at a multiple of three bytes
/// contains it, and OpenAI has never documented a checksum.
pub(crate) const MARKER: &[u8] = b"T3BlbkFJ";

/// Prefixes in the order in which they are tried.
pub(crate) const FORMATS: &[Format] = &[
    own("sk-proj-", KeyKind::Project),
    own("sk-svcacct-", KeyKind::ServiceAccount),
    own("sk-admin-", KeyKind::Admin),
    own("sk-None-", KeyKind::LegacyUser), // a user key of an organization without projects
    own("ek_", KeyKind::EphemeralClient),
    own("sess-", KeyKind::Session), // `sess_…` is the id of a realtime session, and no secret
    vendor("sk-ant-", Vendor::Anthropic),
    vendor("sk-api-", Vendor::MiniMax),
    vendor("sk-gamma-", Vendor::Gamma),
    vendor("sk-hc-v1-", Vendor::HackClub),
    vendor("sk-helicone-", Vendor::Helicone),
    vendor("sk-lf-", Vendor::Langfuse),
    vendor("sk-or-v1-", Vendor::OpenRouter),
    vendor("sk-pyx-", Vendor::Pyx),
    vendor("sk_car_", Vendor::Cartesia),
    vendor("sk_live_", Vendor::Stripe), // and Clerk, Paystack
    vendor("sk_prod_", Vendor::Stripe),
    vendor("sk_test_", Vendor::Stripe), // and Clerk, Paystack, Checkout.com
    vendor("rk_live_", Vendor::Stripe),
    vendor("rk_prod_", Vendor::Stripe),
    vendor("rk_test_", Vendor::Stripe),
    vendor("sk_", Vendor::Several), // ElevenLabs, Checkout.com, …; OpenAI writes `sk-`
    vendor("AIza", Vendor::Google),
    vendor("csk-", Vendor::Cerebras),
    vendor("fw_", Vendor::Fireworks),
    vendor("gsk_", Vendor::Groq),
    vendor("hf_", Vendor::HuggingFace),
    vendor("lsv2_", Vendor::LangSmith),
    vendor("nvapi-", Vendor::Nvidia),
    vendor("pa-", Vendor::Voyage),
    vendor("pplx-", Vendor::Perplexity),
    vendor("r8_", Vendor::Replicate),
    vendor("tgp_v1_", Vendor::Together),
    vendor("xai-", Vendor::Xai),
];

/// Formats without a prefix of their own: a mark at a fixed place.
pub(crate) const MARKED: &[Marked] =
    &[Marked { at: 52, mark: "JQQJ99", kind: KeyKind::OtherVendor(Vendor::AzureOpenAi) }];

/// Texts that stand next to keys, look like them, and are no secret.
pub(crate) const IDENTIFIERS: &[&str] =
    &["org-", "proj_", "key_", "user-", "svc_acct_", "sess_", "req_"];

pub(crate) struct Format {
    pub(crate) prefix: &'static str,
    pub(crate) kind: KeyKind,
}

pub(crate) struct Marked {
    pub(crate) at: usize,
    pub(crate) mark: &'static str,
    pub(crate) kind: KeyKind,
}

/// The parts of a key of 2024 and before, when the marker stood between two halves of 20.
///
/// These generations are closed: their places no longer move, and without a fixed place of the
/// marker they could not be told from a format that does not exist yet.
const HALF: usize = 20;

/// `sk-` and 20 letters and digits, then the marker: a user key of 2023 to 2024-04.
pub(crate) fn is_marked_user_key(bytes: &[u8]) -> bool {
    let start = "sk-".len();
    bytes.starts_with(b"sk-")
        && bytes.get(start + HALF..start + HALF + MARKER.len()) == Some(MARKER)
        && bytes[start..start + HALF].iter().all(u8::is_ascii_alphanumeric)
        && bytes[start + HALF + MARKER.len()..].iter().all(u8::is_ascii_alphanumeric)
}

/// `sk-<account>-`, then 20, the marker and 20: a service-account key of 2024-04 to 2024-08,
/// which had the account's name in it.
pub(crate) fn is_named_service_account_key(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"sk-") else {
        return false;
    };
    let Some(split) = rest.len().checked_sub(HALF + MARKER.len() + HALF) else {
        return false;
    };
    let (name, body) = rest.split_at(split);
    body[HALF..].starts_with(MARKER)
        && body.iter().all(u8::is_ascii_alphanumeric)
        && name.len() > 1
        && name.ends_with(b"-")
        && name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

const fn own(prefix: &'static str, kind: KeyKind) -> Format {
    Format { prefix, kind }
}

const fn vendor(prefix: &'static str, vendor: Vendor) -> Format {
    Format { prefix, kind: KeyKind::OtherVendor(vendor) }
}
