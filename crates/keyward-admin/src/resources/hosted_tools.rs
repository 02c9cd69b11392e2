//! Hosted tools: which of OpenAI's own tools the keys of a project may use.

use serde::{Deserialize, Serialize};

use crate::transport::Call;
use crate::wire::{lenient, lenient_struct};
use crate::{Client, Error, ProjectId, decode, operations};

/// Which hosted tools a project may use.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct HostedToolPermissions {
    /// Searching in files.
    #[serde(default, deserialize_with = "lenient")]
    pub file_search: Option<HostedToolPermission>,
    /// Searching the web.
    #[serde(default, deserialize_with = "lenient")]
    pub web_search: Option<HostedToolPermission>,
    /// Making images.
    #[serde(default, deserialize_with = "lenient")]
    pub image_generation: Option<HostedToolPermission>,
    /// Calling remote MCP servers.
    #[serde(default, deserialize_with = "lenient")]
    pub mcp: Option<HostedToolPermission>,
    /// Running code.
    #[serde(default, deserialize_with = "lenient")]
    pub code_interpreter: Option<HostedToolPermission>,
}

/// Whether one hosted tool may be used.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct HostedToolPermission {
    /// Whether it may.
    #[serde(default, deserialize_with = "lenient")]
    pub enabled: Option<bool>,
}

lenient_struct!(HostedToolPermission);

/// Which hosted tools to switch on or off. What is not said stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct HostedToolUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_search: Option<Enabled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_search: Option<Enabled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_generation: Option<Enabled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp: Option<Enabled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_interpreter: Option<Enabled>,
}

#[derive(Clone, Debug, Serialize)]
struct Enabled {
    enabled: bool,
}

impl HostedToolUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether files may be searched.
    pub fn file_search(mut self, enabled: bool) -> Self {
        self.file_search = Some(Enabled { enabled });
        self
    }

    /// Whether the web may be searched.
    pub fn web_search(mut self, enabled: bool) -> Self {
        self.web_search = Some(Enabled { enabled });
        self
    }

    /// Whether images may be made.
    pub fn image_generation(mut self, enabled: bool) -> Self {
        self.image_generation = Some(Enabled { enabled });
        self
    }

    /// Whether remote MCP servers may be called.
    pub fn mcp(mut self, enabled: bool) -> Self {
        self.mcp = Some(Enabled { enabled });
        self
    }

    /// Whether code may be run.
    pub fn code_interpreter(mut self, enabled: bool) -> Self {
        self.code_interpreter = Some(Enabled { enabled });
        self
    }
}

/// The hosted tools of a project. It comes from
/// [`ProjectHandle::hosted_tool_permissions`](crate::ProjectHandle::hosted_tool_permissions).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::HostedToolUpdate;
///
/// let tools = client.project("proj_abc").hosted_tool_permissions();
/// tools.update(HostedToolUpdate::new().web_search(false).mcp(false)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HostedToolPermissionsHandle {
    client: Client,
    project: ProjectId,
}

impl HostedToolPermissionsHandle {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Describes them.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/hosted_tool_permissions/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such project.
    pub async fn get(&self) -> Result<HostedToolPermissions, Error> {
        self.call(Call::new(operations::HOSTED_TOOLS_GET, [self.project.as_str()])).await
    }

    /// Switches some on or off.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/hosted_tool_permissions/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such project.
    pub async fn update(&self, update: HostedToolUpdate) -> Result<HostedToolPermissions, Error> {
        let call = Call::new(operations::HOSTED_TOOLS_UPDATE, [self.project.as_str()]);
        self.call(call.json(&update)).await
    }

    async fn call(&self, call: Call) -> Result<HostedToolPermissions, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{HostedToolPermissions, HostedToolUpdate};
    use crate::resources::shapes;

    #[test]
    fn permissions_are_read_whatever_they_have() {
        let full = json!({
            "file_search": {"enabled": true}, "web_search": {"enabled": false},
            "image_generation": {"enabled": true}, "mcp": {"enabled": false},
            "code_interpreter": {"enabled": true},
        });
        shapes::check::<HostedToolPermissions>(&[], &full);
        let read: HostedToolPermissions = serde_json::from_value(full).unwrap();
        assert_eq!(read.web_search.and_then(|tool| tool.enabled), Some(false));
        assert_eq!(read.code_interpreter.and_then(|tool| tool.enabled), Some(true));
    }

    #[test]
    fn an_update_says_what_it_changes_alone() {
        for (update, expected) in [
            (HostedToolUpdate::new(), json!({})),
            (HostedToolUpdate::new().file_search(true), json!({"file_search": {"enabled": true}})),
            (HostedToolUpdate::new().web_search(false), json!({"web_search": {"enabled": false}})),
            (
                HostedToolUpdate::new().image_generation(true).mcp(false).code_interpreter(true),
                json!({
                    "image_generation": {"enabled": true}, "mcp": {"enabled": false},
                    "code_interpreter": {"enabled": true},
                }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&update).unwrap(), expected);
        }
    }
}
