//! Usage and costs.

use keyward_admin::{
    BucketWidth, CompletionsUsageGroup, CostGroup, CostQuery, DecisionsUsageGroup,
    FileSearchUsageGroup, ImageSize, ImageSource, ImagesUsageGroup, ProjectUsageGroup, UsageGroup,
    UsageKind, UsageQuery, WebSearchContextLevel, WebSearchUsageGroup,
};

use super::{Call, at, calls};

/// With all that can be said of each kind.
fn full<K: UsageKind>(groups: impl IntoIterator<Item = K::Group>) -> UsageQuery<K> {
    let query = UsageQuery::since(at(0))
        .until(at(86_400))
        .every(BucketWidth::Hour)
        .of_project("proj_1")
        .of_project("proj_2");
    groups.into_iter().fold(query, UsageQuery::by)
}

const GROUPS: [UsageGroup; 4] =
    [UsageGroup::ApiKey, UsageGroup::Model, UsageGroup::Project, UsageGroup::User];

pub(super) fn calls() -> Vec<Call> {
    let mut calls = of_models();
    calls.extend(others());
    calls.extend(costs());
    calls
}

fn of_models() -> Vec<Call> {
    macro_rules! kinds {
        ($($path:literal $kind:ident: $query:expr;)*) => {{
            let mut all = Vec::new();
            $(all.extend(calls! { c;
                pages "GET" $path {
                    "all" => c.usage().$kind(&UsageQuery::since(at(0)));
                    "by minute" =>
                        c.usage().$kind(&UsageQuery::since(at(0)).every(BucketWidth::Minute));
                    "most" => c.usage().$kind(
                        &$query
                            .of_user("user_1")
                            .of_user("user_2")
                            .of_key("key_1")
                            .of_key("key_2")
                            .of_model("gpt-5")
                            .of_model("gpt-5-mini"),
                    );
                }
            });)*
            all
        }};
    }
    kinds! {
        "/organization/usage/audio_speeches" audio_speeches: full(GROUPS);
        "/organization/usage/audio_transcriptions" audio_transcriptions: full(GROUPS);
        "/organization/usage/completions" completions: full([
            CompletionsUsageGroup::ApiKey,
            CompletionsUsageGroup::Batch,
            CompletionsUsageGroup::Model,
            CompletionsUsageGroup::Project,
            CompletionsUsageGroup::ServiceTier,
            CompletionsUsageGroup::User,
        ])
        .batch(true);
        "/organization/usage/decisions" decisions: full([
            DecisionsUsageGroup::ApiKey,
            DecisionsUsageGroup::ApiSource,
            DecisionsUsageGroup::Batch,
            DecisionsUsageGroup::Model,
            DecisionsUsageGroup::Project,
            DecisionsUsageGroup::ServiceTier,
            DecisionsUsageGroup::User,
        ])
        .batch(false);
        "/organization/usage/embeddings" embeddings: full(GROUPS);
        "/organization/usage/images" images: full([
            ImagesUsageGroup::ApiKey,
            ImagesUsageGroup::Model,
            ImagesUsageGroup::Project,
            ImagesUsageGroup::Size,
            ImagesUsageGroup::Source,
            ImagesUsageGroup::User,
        ])
        .of_size(&ImageSize::Portrait1024x1792)
        .of_size(&ImageSize::Square1792)
        .of_size(&ImageSize::Square1024)
        .of_size(&ImageSize::Square256)
        .of_size(&ImageSize::Square512)
        .of_source(&ImageSource::Edit)
        .of_source(&ImageSource::Generation)
        .of_source(&ImageSource::Variation);
        "/organization/usage/moderations" moderations: full(GROUPS);
        "/organization/usage/web_search_calls" web_search_calls: full([
            WebSearchUsageGroup::ApiKey,
            WebSearchUsageGroup::ContextLevel,
            WebSearchUsageGroup::Model,
            WebSearchUsageGroup::Project,
            WebSearchUsageGroup::User,
        ])
        .of_context_level(&WebSearchContextLevel::High)
        .of_context_level(&WebSearchContextLevel::Low)
        .of_context_level(&WebSearchContextLevel::Medium);
    }
}

fn others() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/usage/code_interpreter_sessions" {
            "all" => c.usage().code_interpreter_sessions(&UsageQuery::since(at(0)));
            "most" => c.usage().code_interpreter_sessions(&full([ProjectUsageGroup::Project]));
        }
        pages "GET" "/organization/usage/file_search_calls" {
            "all" => c.usage().file_search_calls(&UsageQuery::since(at(0)));
            "most" => c.usage().file_search_calls(
                &full([
                    FileSearchUsageGroup::ApiKey,
                    FileSearchUsageGroup::Project,
                    FileSearchUsageGroup::User,
                    FileSearchUsageGroup::VectorStore,
                ])
                .of_user("user_1")
                .of_key("key_1")
                .of_vector_store("vs_1")
                .of_vector_store("vs_2"),
            );
        }
        pages "GET" "/organization/usage/vector_stores" {
            "all" => c.usage().vector_stores(&UsageQuery::since(at(0)));
            "most" => c.usage().vector_stores(&full([ProjectUsageGroup::Project]));
        }
    }
}

fn costs() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/costs" {
            "all" => c.costs().list(&CostQuery::since(at(0)));
            "most" => c.costs().list(
                &CostQuery::since(at(0))
                    .until(at(86_400))
                    .of_project("proj_1")
                    .of_project("proj_2")
                    .of_key("key_1")
                    .of_key("key_2")
                    .by(CostGroup::ApiKey)
                    .by(CostGroup::LineItem)
                    .by(CostGroup::Project),
            );
        }
    }
}
