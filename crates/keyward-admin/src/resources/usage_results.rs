//! What is told of usage: a bucket for each stretch of time, and in it a type for each kind.

use keyward_core::Timestamp;
use serde::Deserialize;

use crate::page::Listed;
use crate::wire::{lenient, lenient_struct, open_enum};
use crate::{
    ApiKeyId, ImageSize, ImageSource, ProjectId, UsageKind, UserId, VectorStoreId,
    WebSearchContextLevel,
};

/// What was used in one stretch of time.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "R: UsageKind"))]
#[non_exhaustive]
pub struct UsageBucket<R> {
    /// When it begins.
    #[serde(default, deserialize_with = "lenient")]
    pub start_time: Option<Timestamp>,
    /// When it ends, which is no longer part of it.
    #[serde(default, deserialize_with = "lenient")]
    pub end_time: Option<Timestamp>,
    /// What was used, in as many parts as were asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub results: Option<Vec<R>>,
}

impl<R: UsageKind> Listed for UsageBucket<R> {}

open_enum! {
    /// The API that decisions came through.
    pub enum UsageApiSource {
        /// That of agents.
        AgentsApi = "agents_api",
        /// It is not known.
        Unlabeled = "unlabeled",
    }
}

/// Structs whose every field may be missing.
macro_rules! results {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$fmeta])* #[serde(default, deserialize_with = "lenient")] pub $field: Option<$type>,)*
        }

        lenient_struct!($name);
    )*};
}

results! {
    /// How much text was spoken.
    pub struct AudioSpeechesUsage {
        /// Characters spoken.
        characters: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
    }

    /// How much speech was written down.
    pub struct AudioTranscriptionsUsage {
        /// Seconds written down.
        seconds: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
    }

    /// How often code was run.
    pub struct CodeInterpreterUsage {
        /// Sessions of the code interpreter.
        num_sessions: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
    }

    /// The tokens of completions and responses.
    pub struct CompletionsUsage {
        /// Tokens taken in, of every sort, cached or not.
        input_tokens: u64,
        /// Of these, those read from the cache.
        input_cached_tokens: u64,
        /// Of these, those written to the cache.
        input_cache_write_tokens: u64,
        /// Tokens taken in that were neither read from the cache nor written to it.
        input_uncached_tokens: u64,
        /// Tokens given out, of every sort.
        output_tokens: u64,
        /// Tokens of text taken in, not cached.
        input_text_tokens: u64,
        /// Tokens of text given out.
        output_text_tokens: u64,
        /// Tokens of text read from the cache.
        input_cached_text_tokens: u64,
        /// Tokens of audio taken in, not cached.
        input_audio_tokens: u64,
        /// Tokens of audio read from the cache.
        input_cached_audio_tokens: u64,
        /// Tokens of audio given out.
        output_audio_tokens: u64,
        /// Tokens of images taken in, not cached.
        input_image_tokens: u64,
        /// Tokens of images read from the cache.
        input_cached_image_tokens: u64,
        /// Tokens of images given out.
        output_image_tokens: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
        /// Whether they were batched, when grouped by that.
        batch: bool,
        /// In which service tier, when grouped by that.
        service_tier: String,
    }

    /// The tokens of decisions.
    pub struct DecisionsUsage {
        /// Tokens taken in, of every sort, cached or not.
        input_tokens: u64,
        /// Of these, those read from the cache.
        input_cached_tokens: u64,
        /// Of these, those written to the cache.
        input_cache_write_tokens: u64,
        /// Of these, those written to the cache for half an hour.
        input_cache_write_30m_tokens: u64,
        /// Of these, those written to the cache for half a day.
        input_cache_write_12h_tokens: u64,
        /// Tokens taken in that were neither read from the cache nor written to it.
        input_uncached_tokens: u64,
        /// Tokens given out, of every sort.
        output_tokens: u64,
        /// Tokens of text taken in, not cached.
        input_text_tokens: u64,
        /// Tokens of text given out.
        output_text_tokens: u64,
        /// Tokens of text read from the cache.
        input_cached_text_tokens: u64,
        /// Tokens of audio taken in, not cached.
        input_audio_tokens: u64,
        /// Tokens of audio read from the cache.
        input_cached_audio_tokens: u64,
        /// Tokens of audio given out.
        output_audio_tokens: u64,
        /// Tokens of images taken in, not cached.
        input_image_tokens: u64,
        /// Tokens of images read from the cache.
        input_cached_image_tokens: u64,
        /// Tokens of images given out.
        output_image_tokens: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
        /// Whether they were batched, when grouped by that.
        batch: bool,
        /// In which service tier, when grouped by that.
        service_tier: String,
        /// Through which API, when grouped by that.
        api_source: UsageApiSource,
    }

    /// The tokens of embeddings.
    pub struct EmbeddingsUsage {
        /// Tokens taken in.
        input_tokens: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
    }

    /// How often files were searched.
    pub struct FileSearchUsage {
        /// Searches.
        num_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// In which vector store, when grouped by that.
        vector_store_id: VectorStoreId,
    }

    /// How many images were made.
    pub struct ImagesUsage {
        /// Images.
        images: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// How they were made, when grouped by that.
        source: ImageSource,
        /// How large they are, when grouped by that.
        size: ImageSize,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
    }

    /// The tokens of moderations.
    pub struct ModerationsUsage {
        /// Tokens taken in.
        input_tokens: u64,
        /// Requests to the model.
        num_model_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
    }

    /// How much was stored in vector stores.
    pub struct VectorStoresUsage {
        /// Bytes stored.
        usage_bytes: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
    }

    /// How often the web was searched.
    pub struct WebSearchUsage {
        /// Requests to the model.
        num_model_requests: u64,
        /// Searches.
        num_requests: u64,
        /// In which project, when grouped by project.
        project_id: ProjectId,
        /// By which user, when grouped by user.
        user_id: UserId,
        /// With which key, when grouped by key.
        api_key_id: ApiKeyId,
        /// Of which model, when grouped by model.
        model: String,
        /// With how much context, when grouped by that.
        context_level: WebSearchContextLevel,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resources::shapes;

    /// A bucket with one result, in which each of these fields has a value of its own.
    fn bucket(fields: &str) -> Value {
        let value = |(n, field): (usize, &str)| {
            let value = match field {
                "batch" => json!(true),
                "api_source" | "context_level" | "model" | "service_tier" | "size" | "source" => {
                    json!(format!("word-{n}"))
                }
                field if field.ends_with("_id") => json!(format!("id-{n}")),
                _ => json!(1_000 + n),
            };
            (field.to_owned(), value)
        };
        let result: serde_json::Map<_, _> =
            fields.split_whitespace().enumerate().map(value).collect();
        json!({
            "object": "bucket", "start_time": 1_790_000_000, "end_time": 1_790_086_400,
            "results": [result],
        })
    }

    #[test]
    fn every_kind_is_read_whatever_it_has() {
        const BY: &str = "project_id user_id api_key_id model";
        const TOKENS: &str = "input_tokens input_cached_tokens input_cache_write_tokens \
            input_uncached_tokens output_tokens input_text_tokens output_text_tokens \
            input_cached_text_tokens input_audio_tokens input_cached_audio_tokens \
            output_audio_tokens input_image_tokens input_cached_image_tokens output_image_tokens \
            num_model_requests batch service_tier";

        let check = |check: fn(&[&str], &Value), fields: &str| check(&[], &bucket(fields));
        let of = |fields: &str| format!("{fields} {BY}");
        check(
            shapes::check::<UsageBucket<AudioSpeechesUsage>>,
            &of("characters num_model_requests"),
        );
        check(
            shapes::check::<UsageBucket<AudioTranscriptionsUsage>>,
            &of("seconds num_model_requests"),
        );
        check(shapes::check::<UsageBucket<CodeInterpreterUsage>>, "num_sessions project_id");
        check(shapes::check::<UsageBucket<CompletionsUsage>>, &of(TOKENS));
        check(
            shapes::check::<UsageBucket<DecisionsUsage>>,
            &of(&format!(
                "{TOKENS} input_cache_write_12h_tokens input_cache_write_30m_tokens api_source"
            )),
        );
        check(
            shapes::check::<UsageBucket<EmbeddingsUsage>>,
            &of("input_tokens num_model_requests"),
        );
        check(
            shapes::check::<UsageBucket<FileSearchUsage>>,
            "num_requests project_id user_id api_key_id vector_store_id",
        );
        check(
            shapes::check::<UsageBucket<ImagesUsage>>,
            &of("images num_model_requests source size"),
        );
        check(
            shapes::check::<UsageBucket<ModerationsUsage>>,
            &of("input_tokens num_model_requests"),
        );
        check(shapes::check::<UsageBucket<VectorStoresUsage>>, "usage_bytes project_id");
        check(
            shapes::check::<UsageBucket<WebSearchUsage>>,
            &of("num_model_requests num_requests context_level"),
        );
    }

    #[test]
    fn what_is_not_grouped_by_is_null() {
        let json = json!({"results": [
            {"images": 3, "size": "512x512", "source": "image.variation", "model": null},
            {"images": "4", "size": "8x8"},
            "not a result",
        ]});
        let bucket: UsageBucket<ImagesUsage> = serde_json::from_value(json).unwrap();
        let results = bucket.results.unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!((results[0].images, results[0].model.as_deref()), (Some(3), None));
        assert_eq!(results[0].size, Some(ImageSize::Square512));
        assert_eq!(results[0].source, Some(ImageSource::Variation));
        assert_eq!(results[1].images, Some(4));
        assert_eq!(results[1].size, Some(ImageSize::Other("8x8".into())));
    }
}
