//! What was used, what it cost, and who did what.

use keyward::Timestamp;
use keyward_admin::{AuditLogQuery, CostGroup, CostQuery, UsageQuery};

use crate::Tour;

const DAY: i64 = 86_400;

pub(crate) async fn tour(tour: &mut Tour) {
    let client = tour.client.clone();
    let since = Timestamp::from_unix_seconds(crate::now().as_unix_seconds() - 7 * DAY);
    let usage = client.usage();
    macro_rules! usage {
        ($($kind:ident)*) => {$(
            let path = concat!("/organization/usage/", stringify!($kind));
            tour.read(path, usage.$kind(&UsageQuery::since(since)).first_page()).await;
        )*};
    }
    usage! {
        audio_speeches audio_transcriptions code_interpreter_sessions completions decisions
        embeddings file_search_calls images moderations vector_stores web_search_calls
    }
    let query = CostQuery::since(since).by(CostGroup::Project);
    tour.read("/organization/costs", client.costs().list(&query).first_page()).await;
    let query = AuditLogQuery::new().since(since);
    tour.read("/organization/audit_logs", client.audit_logs().list(&query).first_page()).await;
}
