//! Usage: what was used, by minute, hour or day. What comes back is in [`super::usage_results`].

use std::marker::PhantomData;

use keyward_core::Timestamp;

use super::usage_results::{
    AudioSpeechesUsage, AudioTranscriptionsUsage, CodeInterpreterUsage, CompletionsUsage,
    DecisionsUsage, EmbeddingsUsage, FileSearchUsage, ImagesUsage, ModerationsUsage, UsageBucket,
    VectorStoresUsage, WebSearchUsage,
};
use crate::operations::{self, Operation};
use crate::page::Cursor;
use crate::transport::Call;
use crate::wire::{Lenient, open_enum};
use crate::{ApiKeyId, Client, Pages, ProjectId, UserId, VectorStoreId};

/// A kind of usage, named by what is told of it, such as [`CompletionsUsage`].
#[allow(private_bounds, reason = "only what the API tells is a kind of usage")]
pub trait UsageKind: Kind {
    /// By what this kind can be told apart.
    type Group: AsRef<str>;
}

/// What this crate alone knows of a kind of usage.
pub(crate) trait Kind: Lenient + Send + Unpin + 'static {
    const OPERATION: Operation;
}

/// Kinds of which the user and the key are known.
pub(crate) trait OfUsers: UsageKind {}

/// Kinds of which the model is known.
pub(crate) trait OfModels: UsageKind {}

/// Kinds that can be batched.
pub(crate) trait Batched: UsageKind {}

macro_rules! kinds {
    ($($kind:ty: $group:ty, $operation:ident $(, $of:ident)*;)*) => {$(
        impl UsageKind for $kind {
            type Group = $group;
        }

        impl Kind for $kind {
            const OPERATION: Operation = operations::$operation;
        }

        $(impl $of for $kind {})*
    )*};
}

kinds! {
    AudioSpeechesUsage: UsageGroup, USAGE_AUDIO_SPEECHES, OfUsers, OfModels;
    AudioTranscriptionsUsage: UsageGroup, USAGE_AUDIO_TRANSCRIPTIONS, OfUsers, OfModels;
    CodeInterpreterUsage: ProjectUsageGroup, USAGE_CODE_INTERPRETER;
    CompletionsUsage: CompletionsUsageGroup, USAGE_COMPLETIONS, OfUsers, OfModels, Batched;
    DecisionsUsage: DecisionsUsageGroup, USAGE_DECISIONS, OfUsers, OfModels, Batched;
    EmbeddingsUsage: UsageGroup, USAGE_EMBEDDINGS, OfUsers, OfModels;
    FileSearchUsage: FileSearchUsageGroup, USAGE_FILE_SEARCH, OfUsers;
    ImagesUsage: ImagesUsageGroup, USAGE_IMAGES, OfUsers, OfModels;
    ModerationsUsage: UsageGroup, USAGE_MODERATIONS, OfUsers, OfModels;
    VectorStoresUsage: ProjectUsageGroup, USAGE_VECTOR_STORES;
    WebSearchUsage: WebSearchUsageGroup, USAGE_WEB_SEARCH, OfUsers, OfModels;
}

/// A set of fields by which usage can be told apart.
macro_rules! groups {
    ($($(#[$meta:meta])* pub enum $name:ident { $($variant:ident = $word:literal: $doc:literal,)* })*) => {$(
        open_enum! {
            $(#[$meta])*
            pub enum $name {
                $(#[doc = $doc] $variant = $word,)*
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    )*};
}

groups! {
    /// By what completions are told apart.
    pub enum CompletionsUsageGroup {
        ApiKey = "api_key_id": "By key.",
        Batch = "batch": "By whether they were batched.",
        Model = "model": "By model.",
        Project = "project_id": "By project.",
        ServiceTier = "service_tier": "By service tier.",
        User = "user_id": "By user.",
    }

    /// By what decisions are told apart.
    pub enum DecisionsUsageGroup {
        ApiKey = "api_key_id": "By key.",
        ApiSource = "api_source": "By the API that they came through.",
        Batch = "batch": "By whether they were batched.",
        Model = "model": "By model.",
        Project = "project_id": "By project.",
        ServiceTier = "service_tier": "By service tier.",
        User = "user_id": "By user.",
    }

    /// By what searches in files are told apart.
    pub enum FileSearchUsageGroup {
        ApiKey = "api_key_id": "By key.",
        Project = "project_id": "By project.",
        User = "user_id": "By user.",
        VectorStore = "vector_store_id": "By vector store.",
    }

    /// By what images are told apart.
    pub enum ImagesUsageGroup {
        ApiKey = "api_key_id": "By key.",
        Model = "model": "By model.",
        Project = "project_id": "By project.",
        Size = "size": "By size.",
        Source = "source": "By how they were made.",
        User = "user_id": "By user.",
    }

    /// By what usage is told apart where only the project is known.
    pub enum ProjectUsageGroup {
        Project = "project_id": "By project.",
    }

    /// By what audio, embeddings and moderations are told apart.
    pub enum UsageGroup {
        ApiKey = "api_key_id": "By key.",
        Model = "model": "By model.",
        Project = "project_id": "By project.",
        User = "user_id": "By user.",
    }

    /// By what searches of the web are told apart.
    pub enum WebSearchUsageGroup {
        ApiKey = "api_key_id": "By key.",
        ContextLevel = "context_level": "By how much context they brought.",
        Model = "model": "By model.",
        Project = "project_id": "By project.",
        User = "user_id": "By user.",
    }
}

open_enum! {
    /// How long a time is told of at once.
    pub enum BucketWidth {
        /// A day.
        Day = "1d",
        /// An hour.
        Hour = "1h",
        /// A minute.
        Minute = "1m",
    }
}

impl BucketWidth {
    /// The largest page of buckets. Source: the published specification (2026-08-21).
    fn most(&self) -> Option<u32> {
        match self {
            Self::Day => Some(31),
            Self::Hour => Some(168),
            Self::Minute => Some(1440),
            Self::Other(_) => None,
        }
    }
}

open_enum! {
    /// How images were made.
    pub enum ImageSource {
        /// From another image.
        Edit = "image.edit",
        /// From words.
        Generation = "image.generation",
        /// As a variation of another image.
        Variation = "image.variation",
    }
}

open_enum! {
    /// The size of images, in pixels.
    pub enum ImageSize {
        /// 1024 wide, 1792 high.
        Portrait1024x1792 = "1024x1792",
        /// 1024 wide and high.
        Square1024 = "1024x1024",
        /// 1792 wide and high.
        Square1792 = "1792x1792",
        /// 256 wide and high.
        Square256 = "256x256",
        /// 512 wide and high.
        Square512 = "512x512",
    }
}

open_enum! {
    /// How much context a search of the web brings.
    pub enum WebSearchContextLevel {
        /// Much.
        High = "high",
        /// Little.
        Low = "low",
        /// Some.
        Medium = "medium",
    }
}

/// Which usage is asked for, and of what kind.
#[derive(Clone, Debug)]
#[must_use = "pass it to the method of its kind"]
pub struct UsageQuery<K> {
    start: Timestamp,
    end: Option<Timestamp>,
    width: BucketWidth,
    filters: Vec<(&'static str, String)>,
    kind: PhantomData<fn() -> K>,
}

impl<K: UsageKind> UsageQuery<K> {
    /// Usage from this moment until now, by day.
    pub fn since(start: Timestamp) -> Self {
        let width = BucketWidth::Day;
        Self { start, end: None, width, filters: Vec::new(), kind: PhantomData }
    }

    /// Usage before this moment.
    pub fn until(mut self, end: Timestamp) -> Self {
        self.end = Some(end);
        self
    }

    /// Usage by minute, hour or day.
    pub fn every(mut self, width: BucketWidth) -> Self {
        self.width = width;
        self
    }

    /// Usage in this project, and in others named so.
    pub fn of_project(self, project: impl Into<ProjectId>) -> Self {
        self.filter("project_ids[]", project.into().as_str())
    }

    /// Tells it apart by this, and by others named so.
    #[allow(clippy::needless_pass_by_value, reason = "a word is given here, as to `CostQuery::by`")]
    pub fn by(self, group: K::Group) -> Self {
        self.filter("group_by[]", group.as_ref())
    }

    fn filter(mut self, name: &'static str, value: &str) -> Self {
        self.filters.push((name, value.to_owned()));
        self
    }

    fn call(&self) -> Call {
        let mut call = Call::new(K::OPERATION, [])
            .query("start_time", self.start.as_unix_seconds())
            .query("bucket_width", &self.width);
        if let Some(end) = self.end {
            call = call.query("end_time", end.as_unix_seconds());
        }
        if let Some(most) = self.width.most() {
            call = call.query("limit", most);
        }
        self.filters.iter().fold(call, |call, (name, value)| call.query(name, value))
    }
}

#[allow(private_bounds, reason = "a kind of usage has what the API tells of it")]
impl<K: OfUsers> UsageQuery<K> {
    /// Usage by this user, and by others named so.
    pub fn of_user(self, user: impl Into<UserId>) -> Self {
        self.filter("user_ids[]", user.into().as_str())
    }

    /// Usage with this key, and with others named so.
    pub fn of_key(self, key: impl Into<ApiKeyId>) -> Self {
        self.filter("api_key_ids[]", key.into().as_str())
    }
}

#[allow(private_bounds, reason = "a kind of usage has what the API tells of it")]
impl<K: OfModels> UsageQuery<K> {
    /// Usage of this model, and of others named so.
    pub fn of_model(self, model: &str) -> Self {
        self.filter("models[]", model)
    }
}

#[allow(private_bounds, reason = "a kind of usage has what the API tells of it")]
impl<K: Batched> UsageQuery<K> {
    /// Usage by batches alone, or by all but them.
    pub fn batch(self, batch: bool) -> Self {
        self.filter("batch", if batch { "true" } else { "false" })
    }
}

impl UsageQuery<FileSearchUsage> {
    /// Searches in this vector store, and in others named so.
    pub fn of_vector_store(self, store: impl Into<VectorStoreId>) -> Self {
        self.filter("vector_store_ids[]", store.into().as_str())
    }
}

impl UsageQuery<ImagesUsage> {
    /// Images of this size, and of others named so.
    pub fn of_size(self, size: &ImageSize) -> Self {
        self.filter("sizes[]", size.as_str())
    }

    /// Images made so, and made otherwise as named so.
    pub fn of_source(self, source: &ImageSource) -> Self {
        self.filter("sources[]", source.as_str())
    }
}

impl UsageQuery<WebSearchUsage> {
    /// Searches with so much context, and with others named so.
    pub fn of_context_level(self, level: &WebSearchContextLevel) -> Self {
        self.filter("context_levels[]", level.as_str())
    }
}

/// The organization's usage. It comes from [`Client::usage`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{CompletionsUsageGroup, UsageQuery};
/// use keyward_core::Timestamp;
///
/// let since = Timestamp::from_unix_seconds(1_790_000_000);
/// let query = UsageQuery::since(since).of_project("proj_abc").by(CompletionsUsageGroup::ApiKey);
/// let mut days = client.usage().completions(&query);
/// while let Some(day) = days.next().await {
///     for used in day?.results.unwrap_or_default() {
///         println!("{:?} used {:?} tokens", used.api_key_id, used.output_tokens);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Usage {
    client: Client,
}

impl Usage {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists how much text was spoken, a bucket a day or as the query says.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/audio_speeches)
    pub fn audio_speeches(
        &self,
        query: &UsageQuery<AudioSpeechesUsage>,
    ) -> Pages<UsageBucket<AudioSpeechesUsage>> {
        self.list(query)
    }

    /// Lists how much speech was written down.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/audio_transcriptions)
    pub fn audio_transcriptions(
        &self,
        query: &UsageQuery<AudioTranscriptionsUsage>,
    ) -> Pages<UsageBucket<AudioTranscriptionsUsage>> {
        self.list(query)
    }

    /// Lists how often code was run.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/code_interpreter_sessions)
    pub fn code_interpreter_sessions(
        &self,
        query: &UsageQuery<CodeInterpreterUsage>,
    ) -> Pages<UsageBucket<CodeInterpreterUsage>> {
        self.list(query)
    }

    /// Lists the tokens of completions and responses.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/completions)
    pub fn completions(
        &self,
        query: &UsageQuery<CompletionsUsage>,
    ) -> Pages<UsageBucket<CompletionsUsage>> {
        self.list(query)
    }

    /// Lists the tokens of decisions.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/decisions)
    pub fn decisions(
        &self,
        query: &UsageQuery<DecisionsUsage>,
    ) -> Pages<UsageBucket<DecisionsUsage>> {
        self.list(query)
    }

    /// Lists the tokens of embeddings.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/embeddings)
    pub fn embeddings(
        &self,
        query: &UsageQuery<EmbeddingsUsage>,
    ) -> Pages<UsageBucket<EmbeddingsUsage>> {
        self.list(query)
    }

    /// Lists how often files were searched.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/file_search_calls)
    pub fn file_search_calls(
        &self,
        query: &UsageQuery<FileSearchUsage>,
    ) -> Pages<UsageBucket<FileSearchUsage>> {
        self.list(query)
    }

    /// Lists how many images were made.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/images)
    pub fn images(&self, query: &UsageQuery<ImagesUsage>) -> Pages<UsageBucket<ImagesUsage>> {
        self.list(query)
    }

    /// Lists the tokens of moderations.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/moderations)
    pub fn moderations(
        &self,
        query: &UsageQuery<ModerationsUsage>,
    ) -> Pages<UsageBucket<ModerationsUsage>> {
        self.list(query)
    }

    /// Lists how much was stored in vector stores.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/vector_stores)
    pub fn vector_stores(
        &self,
        query: &UsageQuery<VectorStoresUsage>,
    ) -> Pages<UsageBucket<VectorStoresUsage>> {
        self.list(query)
    }

    /// Lists how often the web was searched.
    ///
    /// In pages of 31 days, 168 hours or 1,440 minutes; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/web_search_calls)
    pub fn web_search_calls(
        &self,
        query: &UsageQuery<WebSearchUsage>,
    ) -> Pages<UsageBucket<WebSearchUsage>> {
        self.list(query)
    }

    fn list<K: UsageKind>(&self, query: &UsageQuery<K>) -> Pages<UsageBucket<K>> {
        Pages::with_cursor(self.client.clone(), query.call(), Cursor::Page)
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::Timestamp;

    use super::*;
    use crate::transport::Call;

    fn sent(call: &Call) -> String {
        let pairs = call.query.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{} {}", call.operation.path, pairs.collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn a_query_asks_for_the_largest_page_of_its_width() {
        for (width, expected) in [
            (BucketWidth::Day, "start_time=7&bucket_width=1d&limit=31"),
            (BucketWidth::Hour, "start_time=7&bucket_width=1h&limit=168"),
            (BucketWidth::Minute, "start_time=7&bucket_width=1m&limit=1440"),
            (BucketWidth::from("1w"), "start_time=7&bucket_width=1w"),
        ] {
            let start = Timestamp::from_unix_seconds(7);
            let query = UsageQuery::<VectorStoresUsage>::since(start).every(width);
            assert_eq!(
                sent(&query.call()),
                format!("/organization/usage/vector_stores {expected}")
            );
        }
    }

    #[test]
    fn a_query_says_all_that_its_kind_knows() {
        let at = Timestamp::from_unix_seconds;
        let begin = "start_time=7&bucket_width=1d";
        let completions = UsageQuery::<CompletionsUsage>::since(at(7))
            .until(at(9))
            .of_project("p1")
            .of_project("p2")
            .of_user("u")
            .of_key("k")
            .of_model("m")
            .batch(true)
            .by(CompletionsUsageGroup::ServiceTier)
            .by(CompletionsUsageGroup::Other("next_year".into()));
        let files = UsageQuery::<FileSearchUsage>::since(at(7))
            .of_vector_store("vs")
            .by(FileSearchUsageGroup::VectorStore);
        let images = UsageQuery::<ImagesUsage>::since(at(7))
            .of_size(&ImageSize::Square512)
            .of_source(&ImageSource::Edit);
        let web = UsageQuery::<WebSearchUsage>::since(at(7))
            .of_context_level(&WebSearchContextLevel::Low)
            .by(WebSearchUsageGroup::ContextLevel);
        for (call, expected) in [
            (
                completions.call(),
                format!(
                    "completions {begin}&end_time=9&limit=31&project_ids[]=p1&project_ids[]=p2\
                     &user_ids[]=u&api_key_ids[]=k&models[]=m&batch=true\
                     &group_by[]=service_tier&group_by[]=next_year"
                ),
            ),
            (
                files.call(),
                format!(
                    "file_search_calls {begin}&limit=31&vector_store_ids[]=vs\
                     &group_by[]=vector_store_id"
                ),
            ),
            (
                images.call(),
                format!("images {begin}&limit=31&sizes[]=512x512&sources[]=image.edit"),
            ),
            (
                web.call(),
                format!(
                    "web_search_calls {begin}&limit=31&context_levels[]=low\
                     &group_by[]=context_level"
                ),
            ),
        ] {
            assert_eq!(sent(&call), format!("/organization/usage/{expected}"));
        }
    }
}
