//! Every call of the client, with as little and with as much as can be said in it.

mod clouds;
mod keys;
mod limits;
mod people;
mod usage;

use std::pin::Pin;

use keyward_admin::{Client, Error};
use keyward_core::Timestamp;

/// One way to call an operation.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// The path's template.
    pub(crate) path: &'static str,
    /// What is said in it.
    pub(crate) form: &'static str,
    run: fn(Client) -> Running,
}

type Running = Pin<Box<dyn Future<Output = Seen>>>;

/// What a caller sees: of a listing each item, of all else one answer, as `Debug` shows it.
pub(crate) type Seen = Result<Vec<Result<String, Error>>, Error>;

impl Call {
    pub(crate) fn run(&self, client: &Client) -> Running {
        (self.run)(client.clone())
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        format!("{} {} ({})", self.method, self.path, self.form)
    }
}

/// All of them; the first of an operation is the simplest.
pub(crate) fn all() -> Vec<Call> {
    let parts = [keys::calls(), people::calls(), limits::calls(), clouds::calls(), usage::calls()];
    parts.into_iter().flatten().collect()
}

/// A moment, so many seconds after another.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_790_000_000 + seconds)
}

/// Calls, by operation. `one` has one answer, `pages` is a listing that is read to its end.
macro_rules! calls {
    ($client:ident; $($kind:ident $method:literal $path:literal {
        $($form:literal => $call:expr;)*
    })*) => {
        vec![$($($crate::specification::calls::Call {
            method: $method,
            path: $path,
            form: $form,
            run: |$client| Box::pin(async move { calls!(@$kind $call) }),
        },)*)*]
    };
    (@one $call:expr) => {{
        let answer = $call.await?;
        Ok(vec![Ok(format!("{answer:?}"))])
    }};
    (@pages $call:expr) => {{
        let mut pages = $call;
        let mut seen = Vec::new();
        while let Some(page) = pages.next_page().await {
            let items = page?.items.into_iter();
            seen.extend(items.map(|item| item.map(|item| format!("{item:?}"))));
        }
        Ok(seen)
    }};
}
use calls;
