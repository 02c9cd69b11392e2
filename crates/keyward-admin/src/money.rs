//! Money: exact, and never a binary fraction.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::wire::{Lenient, lenient, lenient_struct};

/// An exact decimal number, such as an amount of money or a quantity.
///
/// ```
/// use keyward_admin::Decimal;
///
/// let sum: Decimal = ["0.1", "0.2"].iter().filter_map(|s| s.parse::<Decimal>().ok()).sum();
/// assert_eq!(sum.to_string(), "0.3");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Decimal(rust_decimal::Decimal);

impl Add for Decimal {
    type Output = Self;

    /// The sum; the largest number there is, if it is larger.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

impl From<u32> for Decimal {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidDecimal)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl Lenient for Decimal {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_integer(number: i64) -> Option<Self> {
        Some(Self(number.into()))
    }

    /// The shortest decimal that is this number, which is what the server wrote.
    fn from_float(number: f64) -> Option<Self> {
        rust_decimal::Decimal::from_str_exact(&number.to_string()).ok().map(Self)
    }
}

/// A text that is not a decimal number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidDecimal;

impl std::error::Error for InvalidDecimal {}

impl fmt::Display for InvalidDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a decimal number; write it as 12.34")
    }
}

/// An amount of money in whole units of its currency, as costs are told: `0.06` of `usd`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Amount {
    /// How much.
    #[serde(default, deserialize_with = "lenient")]
    pub value: Option<Decimal>,
    /// Of which currency, in whatever case the server writes it.
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
}

lenient_struct!(Amount);

/// An amount of money in cents, as limits and alerts are told.
///
/// ```
/// use keyward_admin::Cents;
///
/// assert_eq!(Cents::of_dollars(25).to_string(), "25.00");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cents(u64);

impl Cents {
    /// So many cents.
    #[must_use]
    pub const fn new(cents: u64) -> Self {
        Self(cents)
    }

    /// So many dollars.
    #[must_use]
    pub const fn of_dollars(dollars: u32) -> Self {
        Self(dollars as u64 * 100)
    }

    /// How many cents.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Lenient for Cents {
    fn from_text(text: &str) -> Option<Self> {
        u64::from_text(text).map(Self)
    }

    fn from_integer(number: i64) -> Option<Self> {
        u64::from_integer(number).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn an_amount_is_what_the_server_wrote() {
        for (json, expected) in [
            ("0.06", Some("0.06")),
            ("0.1", Some("0.1")),
            ("123456.789012345", Some("123456.789012345")),
            ("1e-7", Some("0.0000001")),
            ("12", Some("12")),
            ("-3.5", Some("-3.5")),
            ("\"0.06\"", Some("0.06")),
            ("null", None),
            ("1e300", None),
        ] {
            let json = format!(r#"{{"value": {json}, "currency": "usd"}}"#);
            let amount: Amount = serde_json::from_str(&json).expect("an object");
            assert_eq!(amount.value.map(|v| v.to_string()).as_deref(), expected, "{json}");
        }
    }
}
