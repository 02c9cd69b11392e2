//! Rate limits, spend alerts and limits, data retention, and what a project may use.

use keyward_admin::{
    Cents, DataRetentionKind, DefaultServiceTier, EnabledServiceTiers, Error, HostedToolUpdate,
    ModelPermissionUpdate, NewSpendAlert, RateLimitUpdate, ServiceTier, ServiceTierUpdate,
};

use super::{Call, calls};

pub(super) fn calls() -> Vec<Call> {
    let mut calls = spending();
    calls.extend(permissions());
    calls
}

fn alert() -> NewSpendAlert {
    NewSpendAlert::new(Cents::of_dollars(10), "ada@example.com")
}

fn spending() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/spend_alerts" {
            "all" => c.spend_alerts().list();
        }
        one "POST" "/organization/spend_alerts" {
            "least" => c.spend_alerts().create(&alert());
            "most" => c.spend_alerts().create(
                &alert().and_to("bob@example.com").subject_prefix("[money]"),
            );
        }
        one "GET" "/organization/spend_alerts/{alert_id}" {
            "it" => c.spend_alert("alert_1").get();
        }
        one "POST" "/organization/spend_alerts/{alert_id}" {
            "least" => c.spend_alert("alert_1").update(&alert());
            "most" => c.spend_alert("alert_1").update(&alert().subject_prefix("[money]"));
        }
        one "DELETE" "/organization/spend_alerts/{alert_id}" {
            "it" => c.spend_alert("alert_1").delete();
        }
        pages "GET" "/organization/projects/{project_id}/spend_alerts" {
            "all" => c.project("proj_1").spend_alerts().list();
        }
        one "POST" "/organization/projects/{project_id}/spend_alerts" {
            "least" => c.project("proj_1").spend_alerts().create(&alert());
            "most" => c.project("proj_1").spend_alerts().create(
                &alert().and_to("bob@example.com").subject_prefix("[money]"),
            );
        }
        one "GET" "/organization/projects/{project_id}/spend_alerts/{alert_id}" {
            "it" => c.project("proj_1").spend_alert("alert_1").get();
        }
        one "POST" "/organization/projects/{project_id}/spend_alerts/{alert_id}" {
            "least" => c.project("proj_1").spend_alert("alert_1").update(&alert());
            "most" => c.project("proj_1").spend_alert("alert_1").update(
                &alert().and_to("bob@example.com").subject_prefix("[money]"),
            );
        }
        one "DELETE" "/organization/projects/{project_id}/spend_alerts/{alert_id}" {
            "it" => c.project("proj_1").spend_alert("alert_1").delete();
        }
        one "GET" "/organization/spend_limit" {
            "it" => c.spend_limit().get();
        }
        one "POST" "/organization/spend_limit" {
            "it" => c.spend_limit().update(Cents::new(123_456));
        }
        one "DELETE" "/organization/spend_limit" {
            "it" => c.spend_limit().delete();
        }
        one "GET" "/organization/projects/{project_id}/spend_limit" {
            "it" => c.project("proj_1").spend_limit().get();
        }
        one "POST" "/organization/projects/{project_id}/spend_limit" {
            "it" => c.project("proj_1").spend_limit().update(Cents::new(123_456));
        }
        one "DELETE" "/organization/projects/{project_id}/spend_limit" {
            "it" => c.project("proj_1").spend_limit().delete();
        }
    }
}

fn permissions() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/projects/{project_id}/rate_limits" {
            "all" => c.project("proj_1").rate_limits().list();
            "before" => c.project("proj_1").rate_limits().list_before("rl_1");
        }
        one "POST" "/organization/projects/{project_id}/rate_limits/{rate_limit_id}" {
            "least" => c.project("proj_1").rate_limits().update("rl_1", RateLimitUpdate::new());
            "most" => c.project("proj_1").rate_limits().update(
                "rl_1",
                RateLimitUpdate::new()
                    .requests_per_minute(1)
                    .tokens_per_minute(2)
                    .images_per_minute(3)
                    .audio_megabytes_per_minute(4)
                    .requests_per_day(5)
                    .batch_input_tokens_per_day(6),
            );
        }
        one "GET" "/organization/data_retention" {
            "it" => c.data_retention().get();
        }
        one "POST" "/organization/data_retention" {
            "it" => c.data_retention().set(DataRetentionKind::ZeroDataRetention);
            "every kind" => async {
                for kind in [
                    DataRetentionKind::EnhancedModifiedAbuseMonitoring,
                    DataRetentionKind::EnhancedZeroDataRetention,
                    DataRetentionKind::ModifiedAbuseMonitoring,
                ] {
                    c.data_retention().set(kind).await?;
                }
                Ok::<_, Error>(())
            };
        }
        one "GET" "/organization/projects/{project_id}/data_retention" {
            "it" => c.project("proj_1").data_retention().get();
        }
        one "POST" "/organization/projects/{project_id}/data_retention" {
            "it" => c.project("proj_1").data_retention().set(DataRetentionKind::None);
            "every kind" => async {
                for kind in [
                    DataRetentionKind::EnhancedModifiedAbuseMonitoring,
                    DataRetentionKind::EnhancedZeroDataRetention,
                    DataRetentionKind::ModifiedAbuseMonitoring,
                    DataRetentionKind::OrganizationDefault,
                    DataRetentionKind::ZeroDataRetention,
                ] {
                    c.project("proj_1").data_retention().set(kind).await?;
                }
                Ok::<_, Error>(())
            };
        }
        one "GET" "/organization/projects/{project_id}/hosted_tool_permissions" {
            "it" => c.project("proj_1").hosted_tool_permissions().get();
        }
        one "POST" "/organization/projects/{project_id}/hosted_tool_permissions" {
            "least" => c.project("proj_1").hosted_tool_permissions().update(
                HostedToolUpdate::new().mcp(false),
            );
            "most" => c.project("proj_1").hosted_tool_permissions().update(
                HostedToolUpdate::new()
                    .file_search(true)
                    .web_search(false)
                    .image_generation(true)
                    .mcp(false)
                    .code_interpreter(true),
            );
        }
        one "GET" "/organization/projects/{project_id}/model_permissions" {
            "it" => c.project("proj_1").model_permissions().get();
        }
        one "POST" "/organization/projects/{project_id}/model_permissions" {
            "allow" => c.project("proj_1").model_permissions().update(
                ModelPermissionUpdate::allow(["gpt-5", "gpt-5-mini"]),
            );
            "deny" => c.project("proj_1").model_permissions().update(
                ModelPermissionUpdate::deny(["gpt-5"]),
            );
            "none" => c.project("proj_1").model_permissions().update(
                ModelPermissionUpdate::allow(Vec::<String>::new()),
            );
        }
        one "DELETE" "/organization/projects/{project_id}/model_permissions" {
            "it" => c.project("proj_1").model_permissions().delete();
        }
        one "GET" "/organization/projects/{project_id}/service_tier_settings" {
            "it" => c.project("proj_1").service_tier_settings().get();
        }
        one "POST" "/organization/projects/{project_id}/service_tier_settings" {
            "least" => c.project("proj_1").service_tier_settings().update(
                ServiceTierUpdate::new().enabled(EnabledServiceTiers::All),
            );
            "some" => c.project("proj_1").service_tier_settings().update(
                ServiceTierUpdate::new().enabled(EnabledServiceTiers::only([
                    ServiceTier::Fast,
                    ServiceTier::Flex,
                    ServiceTier::Ultrafast,
                ])),
            );
            "every default" => async {
                for tier in [
                    DefaultServiceTier::Fast,
                    DefaultServiceTier::Scale,
                    DefaultServiceTier::Standard,
                ] {
                    let update = ServiceTierUpdate::new()
                        .default_tier(tier)
                        .enabled(EnabledServiceTiers::only([]));
                    c.project("proj_1").service_tier_settings().update(update).await?;
                }
                Ok::<_, Error>(())
            };
        }
    }
}
