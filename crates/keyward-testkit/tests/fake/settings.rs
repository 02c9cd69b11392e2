//! What the organization and its projects are set to: limits, alerts, retention, permissions,
//! certificates, clouds and workload identity.

use super::every_operation::{
    alert, certificate, external_key, external_storage, federation_rule, identity_provider, limit,
};
use super::*;

const CERTIFICATES: &str = "/organization/certificates";

impl Scene {
    fn fill(&self, body: &Value) -> Value {
        let text = body
            .to_string()
            .replace("{project_id}", &self.project)
            .replace("{service_account_id}", &self.account);
        serde_json::from_str(&text).unwrap()
    }

    async fn ok_post(&self, path: &str, body: Value) -> Value {
        self.admin.ok(Method::POST, path, Some(body)).await
    }

    /// The organization's path and the project's.
    fn both(&self, rest: &str) -> [(&'static str, String); 2] {
        [("organization", format!("/organization{rest}")), ("project", self.project_path(rest))]
    }
}

#[tokio::test]
async fn spend_alerts_are_kept_apart() {
    let s = Scene::new().await;
    for (scope, alerts) in s.both("/spend_alerts") {
        let made = s.ok_post(&alerts, alert(1000)).await;
        assert_eq!(made["object"], format!("{scope}.spend_alert"));
        assert_eq!(made["threshold_amount"], 1000);
        let path = format!("{alerts}/{}", made["id"].as_str().unwrap());
        s.ok_post(&path, alert(0)).await;
        assert_eq!(s.admin.get(&path).await.1["threshold_amount"], 0);
        assert_eq!(s.admin.get(&alerts).await.1["data"].as_array().unwrap().len(), 1);
        let mut wrong = [alert(1), alert(1), alert(1)];
        wrong[0]["currency"] = json!("EUR");
        wrong[1]["notification_channel"]["type"] = json!("pager");
        wrong[2]["threshold_amount"] = json!(0.5);
        for body in wrong {
            assert_eq!(s.admin.post(&path, body).await.0, 400);
        }
        s.admin.ok(Method::DELETE, &path, None).await;
        assert_eq!(s.admin.get(&path).await.0, 404);
    }
}

#[tokio::test]
async fn a_spend_limit_in_cents_is_enforced_when_it_is_reached() {
    let s = Scene::new().await;
    for (scope, path) in s.both("/spend_limit") {
        assert_eq!(s.admin.get(&path).await.0, 404);
        assert_eq!(s.admin.post(&path, limit(0)).await.0, 400);
        let set = s.ok_post(&path, limit(500)).await;
        assert_eq!(set["object"], format!("{scope}.spend_limit"));
        assert_eq!(set["enforcement"]["status"], "inactive");
    }
    s.fake.seed_cost(&s.project, START, 5.0);
    for (scope, path) in s.both("/spend_limit") {
        assert_eq!(s.admin.get(&path).await.1["enforcement"]["status"], "enforcing");
        let object = format!("{scope}.spend_limit.deleted");
        let deleted = s.admin.ok(Method::DELETE, &path, None).await;
        assert_eq!(deleted, json!({ "object": object, "deleted": true }));
        assert_eq!(s.admin.get(&path).await.0, 404);
    }
}

#[tokio::test]
async fn retention_comes_back_under_another_name() {
    let s = Scene::new().await;
    for (scope, path) in s.both("/data_retention") {
        let set = s.ok_post(&path, json!({ "retention_type": "zero_data_retention" })).await;
        let object = format!("{scope}.data_retention");
        assert_eq!(set, json!({ "object": object, "type": "zero_data_retention" }));
        assert_eq!(s.admin.get(&path).await.1, set);
        let none = s.admin.post(&path, json!({ "retention_type": "none" })).await.0;
        assert_eq!(none, if scope == "project" { 200 } else { 400 });
    }
}

#[tokio::test]
async fn a_projects_permissions_are_changed_one_by_one() {
    let s = Scene::new().await;
    let tools = s.project_path("/hosted_tool_permissions");
    s.ok_post(&tools, json!({ "mcp": { "enabled": false }, "web_search": null })).await;
    let shown = s.admin.get(&tools).await.1;
    assert_eq!(shown["mcp"]["enabled"], false);
    assert_eq!(
        (&shown["web_search"]["enabled"], shown.as_object().unwrap().len()),
        (&json!(true), 5)
    );
    for wrong in [json!({ "mcp": {} }), json!({ "mcp": { "on": true } }), json!({ "shell": null })]
    {
        assert_eq!(s.admin.post(&tools, wrong).await.0, 400);
    }

    let models = s.project_path("/model_permissions");
    let before = s.admin.get(&models).await.1;
    s.ok_post(&models, json!({ "mode": "allow_list", "model_ids": ["m"] })).await;
    assert_eq!(s.admin.get(&models).await.1["model_ids"], json!(["m"]));
    s.admin.ok(Method::DELETE, &models, None).await;
    assert_eq!(s.admin.get(&models).await.1, before);

    let tiers = s.project_path("/service_tier_settings");
    s.ok_post(&tiers, json!({ "default": "scale" })).await;
    s.ok_post(&tiers, json!({ "enabled_tiers": ["flex", "ultrafast"] })).await;
    let shown = s.admin.get(&tiers).await.1;
    assert_eq!(
        (&shown["default"], &shown["enabled_tiers"][1]),
        (&json!("scale"), &json!("ultrafast"))
    );
    for wrong in [json!({ "enabled_tiers": "some" }), json!({ "enabled_tiers": ["slow"] })] {
        assert_eq!(s.admin.post(&tiers, wrong).await.0, 400);
    }
}

#[tokio::test]
async fn rate_limits_are_listed_and_changed() {
    let s = Scene::new().await;
    let limits = s.project_path("/rate_limits");
    let list = s.admin.get(&format!("{limits}?limit=2")).await.1;
    assert_eq!((&list["has_more"], texts(&list, "id").len()), (&json!(true), 2));
    let rest = s.admin.get(&format!("{limits}?after={}", texts(&list, "id")[1])).await.1;
    let before = format!("{limits}?before={}", texts(&rest, "id")[0]);
    assert_eq!(s.admin.get(&before).await.1["data"], list["data"]);
    let path = format!("{limits}/{}", texts(&list, "id")[0]);
    s.ok_post(&path, json!({ "max_requests_per_1_day": 7 })).await;
    let list = s.admin.get(&limits).await.1;
    assert_eq!(list["data"][0]["max_requests_per_1_day"], 7);
    assert_eq!(s.admin.post(&format!("{limits}/rl-none"), json!({})).await.0, 404);
}

#[tokio::test]
async fn certificates_are_switched_all_or_none() {
    let s = Scene::new().await;
    let made = s.ok_post(CERTIFICATES, certificate()).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("{CERTIFICATES}/{id}");
    assert!(made["certificate_details"].get("content").is_none());
    let with = s.admin.get(&format!("{path}?include[]=content")).await.1;
    assert_eq!(with["certificate_details"]["content"], certificate()["certificate"]);
    let [own, of_project] = s.both("/certificates").map(|(_, path)| path);
    let objects = ["organization.certificate", "organization.project.certificate"];
    for (certificates, object) in [&own, &of_project].into_iter().zip(objects) {
        let activate = format!("{certificates}/activate");
        let both = json!({ "certificate_ids": [id, "cert_none"] });
        assert_eq!(s.admin.post(&activate, both).await.0, 404);
        assert_eq!(s.admin.get(certificates).await.1["data"][0]["active"], false);
        let on = s.ok_post(&activate, json!({ "certificate_ids": [id] })).await;
        assert_eq!(on["object"], format!("{object}.activation"));
        assert_eq!(
            (&on["data"][0]["object"], &on["data"][0]["active"]),
            (&json!(object), &json!(true))
        );
        for wrong in [json!([]), json!(vec![id; 11])] {
            let body = json!({ "certificate_ids": wrong });
            assert_eq!(s.admin.post(&activate, body).await.0, 400);
        }
    }
    for certificates in [&own, &of_project] {
        assert_eq!(s.admin.delete(&path).await.0, 400, "it is active");
        let body = json!({ "certificate_ids": [id] });
        s.ok_post(&format!("{certificates}/deactivate"), body).await;
    }
    let deleted = s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(deleted, json!({ "object": "certificate.deleted", "id": id }));
    assert_eq!(s.admin.get(&path).await.0, 404);
}

#[tokio::test]
async fn external_keys_are_used_by_projects() {
    let s = Scene::new().await;
    let keys = "/organization/external_keys";
    let made = s.ok_post(keys, external_key()).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("{keys}/{id}");
    assert_eq!((&made["type"], &made["purpose"]), (&json!("aws"), &json!("ekm")));
    assert_eq!(texts(&s.admin.get(&format!("{keys}?purpose=ekm")).await.1, "id"), [id]);
    let other = s.admin.get(&format!("{keys}?purpose=psp_decryption")).await.1;
    assert_eq!(other["data"], json!([]));
    s.ok_post(&s.project_path(""), json!({ "external_key_id": id })).await;
    assert_eq!(s.admin.get(&path).await.1["api_project_ids"], json!([s.project]));
    assert_eq!(s.admin.delete(&path).await.0, 400, "it is used");
    s.ok_post(&s.project_path(""), json!({ "external_key_id": null })).await;
    assert!(
        s.admin.ok(Method::POST, &format!("{path}/validate"), None).await["status"].is_string()
    );
    // The answer is the key itself.
    assert_eq!(s.admin.ok(Method::DELETE, &path, None).await["name"], "k");
    assert_eq!(s.admin.get(&path).await.0, 404);
    let mut mixed = external_key();
    mixed["vault_uri"] = json!("of another cloud");
    assert_eq!(s.admin.post(keys, mixed).await.0, 400);
}

#[tokio::test]
async fn external_storage_is_validated() {
    let s = Scene::new().await;
    let storages = "/organization/external_storage";
    let made = s.ok_post(storages, s.fill(&external_storage())).await;
    let path = format!("{storages}/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["status"], &made["provider"]["bucket"]), (&json!("pending"), &json!("b")));
    assert!(made["provider"]["region"].is_string());
    s.admin.ok(Method::POST, &format!("{path}/validate"), None).await;
    let list = s.admin.get(&format!("{storages}?project_id={}", s.project)).await.1;
    assert_eq!(list["data"][0]["status"], "validated");
    let elsewhere = s.admin.get(&format!("{storages}?project_id=proj_none")).await.1;
    assert_eq!(elsewhere["data"], json!([]));
    s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(s.admin.get(&path).await.0, 404);
    assert_eq!(s.admin.post(storages, external_storage()).await.0, 404, "no such project");
}

#[tokio::test]
async fn a_workload_provider_takes_its_rules_along() {
    let s = Scene::new().await;
    let providers = "/organization/workload_identity_providers";
    let made = s.ok_post(providers, identity_provider()).await;
    let path = format!("{providers}/{}", made["id"].as_str().unwrap());
    let discovery = json!({ "type": "discovery", "discovery_url": null });
    assert_eq!((&made["enabled"], &made["verification"]), (&json!(true), &discovery));
    s.fake.clock().advance(Duration::from_secs(9));
    let jwks = json!({ "type": "uploaded_jwks", "jwks": { "keys": [] } });
    s.ok_post(&path, json!({ "verification": jwks, "description": null })).await;
    let shown = s.admin.get(&path).await.1;
    assert_eq!((&shown["verification"], &shown["updated_at"]), (&jwks, &json!(START + 9)));
    for wrong in [
        json!({ "verification": { "type": "discovery" } }),
        json!({ "verification": { "type": "uploaded_jwks" } }),
        json!({ "attribute_transformations": [{ "attribute": "a" }] }),
        json!({ "name": null }),
    ] {
        assert_eq!(s.admin.post(&path, wrong.clone()).await.0, 400, "{wrong}");
    }

    let rules = format!("{path}/federation_rules");
    let rule = s.ok_post(&rules, s.fill(&federation_rule())).await;
    let one = format!("{rules}/{}", rule["id"].as_str().unwrap());
    let restricted = json!({ "type": "restricted", "scopes": ["api.responses.write"] });
    s.ok_post(&one, json!({ "permissions": restricted, "name": "ci" })).await;
    assert_eq!(s.admin.get(&one).await.1["permissions"], restricted);
    let of_account = format!("{rules}?service_account_id={}", s.account);
    assert_eq!(texts(&s.admin.get(&of_account).await.1, "name"), ["ci"]);
    for wrong in [
        json!({ "attribute_matchers": { "sub": ["a"] } }),
        json!({ "permissions": { "type": "restricted" } }),
        json!({ "permissions": { "type": "service_account_default", "scopes": [] } }),
    ] {
        assert_eq!(s.admin.post(&one, wrong.clone()).await.0, 400, "{wrong}");
    }
    let other = s.ok_post(providers, identity_provider()).await;
    let elsewhere = one.replace(made["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    assert_eq!(s.admin.get(&elsewhere).await.0, 404, "another provider's");
    s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!((s.admin.get(&path).await.0, s.admin.get(&one).await.0), (404, 404));
}
