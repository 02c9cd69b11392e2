//! Rate limits, spend alerts and limits, and what a project may use.

use keyward_admin::{
    Cents, DefaultServiceTier, HostedToolUpdate, ModelPermissionUpdate, NewSpendAlert,
    ProjectHandle, RateLimitUpdate, ServiceTierUpdate, SpendAlertHandle, SpendAlertId, SpendAlerts,
    SpendLimitHandle,
};

use crate::{NONE, Tour};

pub(crate) async fn tour(tour: &mut Tour, project: &ProjectHandle) {
    let client = tour.client.clone();
    rate_limits(tour, project).await;
    let paths = ("/organization/spend_alerts", "/organization/spend_alerts/{alert_id}");
    spend_alerts(tour, paths, client.spend_alerts(), |id| client.spend_alert(id)).await;
    let paths = (
        "/organization/projects/{project_id}/spend_alerts",
        "/organization/projects/{project_id}/spend_alerts/{alert_id}",
    );
    spend_alerts(tour, paths, project.spend_alerts(), |id| project.spend_alert(id)).await;
    spend_limit(tour, "/organization/spend_limit", client.spend_limit()).await;
    let path = "/organization/projects/{project_id}/spend_limit";
    spend_limit(tour, path, project.spend_limit()).await;
    permissions(tour, project).await;
}

async fn rate_limits(tour: &mut Tour, project: &ProjectHandle) {
    const ALL: &str = "/organization/projects/{project_id}/rate_limits";
    const ONE: &str = "/organization/projects/{project_id}/rate_limits/{rate_limit_id}";

    let listed = tour.read(ALL, project.rate_limits().list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let update = RateLimitUpdate::new().requests_per_minute(10);
    let id = any.unwrap_or_else(|| NONE.into());
    tour.write("POST", ONE, project.rate_limits().update(id, update)).await;
}

async fn spend_alerts(
    tour: &mut Tour,
    (all, one): (&str, &str),
    alerts: SpendAlerts,
    handle: impl Fn(SpendAlertId) -> SpendAlertHandle,
) {
    let new = NewSpendAlert::new(Cents::of_dollars(10), "keyward-tour@example.com");
    let made = tour.write("POST", all, alerts.create(&new)).await;
    let listed = tour.read(all, alerts.list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|alert| alert.id).or(any).unwrap_or_else(|| NONE.into());
    let alert = handle(id);
    tour.read(one, alert.get()).await;
    let new = NewSpendAlert::new(Cents::of_dollars(20), "keyward-tour@example.com");
    tour.write("POST", one, alert.update(&new)).await;
    tour.write("DELETE", one, alert.delete()).await;
}

async fn spend_limit(tour: &mut Tour, path: &str, limit: SpendLimitHandle) {
    tour.write("POST", path, limit.update(Cents::of_dollars(10_000))).await;
    tour.read(path, limit.get()).await;
    tour.write("DELETE", path, limit.delete()).await;
}

async fn permissions(tour: &mut Tour, project: &ProjectHandle) {
    const TOOLS: &str = "/organization/projects/{project_id}/hosted_tool_permissions";
    const MODELS: &str = "/organization/projects/{project_id}/model_permissions";
    const TIERS: &str = "/organization/projects/{project_id}/service_tier_settings";

    let tools = project.hosted_tool_permissions();
    tour.read(TOOLS, tools.get()).await;
    tour.write("POST", TOOLS, tools.update(HostedToolUpdate::new().mcp(false))).await;
    let models = project.model_permissions();
    tour.write("POST", MODELS, models.update(ModelPermissionUpdate::allow(["gpt-5"]))).await;
    tour.read(MODELS, models.get()).await;
    tour.write("DELETE", MODELS, models.delete()).await;
    let tiers = project.service_tier_settings();
    tour.read(TIERS, tiers.get()).await;
    let update = ServiceTierUpdate::new().default_tier(DefaultServiceTier::Standard);
    tour.write("POST", TIERS, tiers.update(update)).await;
}
