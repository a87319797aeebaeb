//! `/v1/pools`: settings and counts.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, Wish, json as answer, resource, with_tag};
use super::problem::Problem;
use super::show;
use super::steps::{Form, Steps};
use crate::document::Pointer;
use crate::engine::Op;
use crate::mail::PoolSettings;

/// Lists the pools.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let engine = &call.api.engine;
    let pools = engine.view().pools();
    let items = pools.iter();
    let items: Vec<Value> = items
        .map(|pool| show::pool(pool, engine.census(&pool.name)))
        .collect();
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": null}),
    ))
}

/// Shows a pool.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.segment("pool");
    let pool = call.api.engine.view().pool(name);
    let pool = pool.ok_or_else(|| Problem::not_found("pool", name))?;
    let document = show::pool(&pool, call.api.engine.census(name));
    Ok(resource(&call, pool.revision, &document))
}

/// Creates a pool or changes its settings.
pub(super) async fn put(mut call: Call) -> Result<Response, Problem> {
    let params = call.params(&["dry_run", "expect_domains"]);
    let (dry_run, expect_domains) = (params.flag("dry_run"), params.expect_domains());
    params.finish()?;
    let name = call.segment("pool").to_owned();
    let (mut document, _) = call.json().await?;
    if let Value::Object(members) = &mut document {
        members.retain(|key, _| !show::POOL_READ_ONLY.contains(&key.as_str()));
    }
    let settings = PoolSettings::from_document(&document).map_err(Problem::invalid)?;
    let op = Op::PutPool {
        name: name.clone(),
        settings: Box::new(settings),
        if_match: call.if_match()?,
    };
    let existed = call.api.engine.view().pool(&name).is_some();
    let wish = Wish {
        dry_run,
        expect_domains,
        ..Wish::default()
    };
    let steps = Steps::one(op, Form::Settings(Pointer::root()));
    let outcome = call.change(steps, wish).await?;
    let mut document = show::plan(&outcome, dry_run, &[]);
    document["name"] = json!(name);
    let status = if existed || dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let response = answer(status, &document);
    let pool = call.api.engine.view().pool(&name);
    Ok(match pool.filter(|_| !dry_run) {
        Some(pool) => with_tag(response, pool.revision),
        None => response,
    })
}

/// Deletes a pool that has no domains.
pub(super) async fn delete(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let op = Op::DeletePool {
        name: call.segment("pool").to_owned(),
        if_match: call.if_match()?,
    };
    call.delete(op, Wish::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::{Server, settings};

    #[test]
    fn what_is_shown_of_a_pool_can_be_put_back() {
        let server = Server::with_pool();
        let shown = server.call("GET", "/v1/pools/main", None);

        let answer = server.call("PUT", "/v1/pools/main", Some(&shown.json));

        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json["plan"], json!([]));
        assert_eq!(answer.json["revision"], shown.json["revision"]);
        assert_eq!(shown.json["counts"]["standby"], 0);
        assert_eq!(shown.json["ready"], 0);
        let listed = server.call("GET", "/v1/pools", None).json;
        assert_eq!(listed["items"], json!([shown.json]));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let server = Server::start();
        let mut pool = settings();
        pool["ttl"] = json!(3600);
        pool["mail_host"][0]["addresses"][0] = json!("nowhere");
        pool["colour"] = json!("red");

        let answer = server.call("PUT", "/v1/pools/main", Some(&pool));

        assert_eq!(answer.status, 422, "{answer:?}");
        let wrong = ["/colour", "/mail_host/0/addresses/0", "/ttl"];
        assert_eq!(answer.pointers(), wrong.map(str::to_owned).into());
    }

    #[test]
    fn a_dry_run_says_what_would_change_and_changes_nothing() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let mut pool = settings();
        pool["ttl"] = json!("2h");

        let planned = server.call("PUT", "/v1/pools/main?dry_run=true", Some(&pool));

        assert_eq!(planned.status, 200, "{planned:?}");
        assert_eq!(planned.json["domains"], 1, "{planned:?}");
        assert_eq!(planned.json["plan"][0]["op"], "put_pool");
        let shown = server.call("GET", "/v1/pools/main", None).json;
        assert_eq!(shown["ttl"], "1h");
    }

    #[test]
    fn what_domains_in_use_must_wait_for_is_refused_with_the_setting() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let mut pool = settings();
        pool["nameservers"][0] = json!("ns9.infra.example.");

        let answer = server.call("PUT", "/v1/pools/main?expect_domains=1", Some(&pool));

        assert_eq!(answer.status, 409, "{answer:?}");
        let pointers = answer.pointers();
        assert!(
            pointers.iter().any(|at| at.starts_with("/nameservers")),
            "{answer:?}"
        );
    }

    #[test]
    fn a_pool_with_domains_stays() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({
                "pool": "main", "name": "a.example", "fresh": true,
            })),
        );

        assert_eq!(server.call("DELETE", "/v1/pools/main", None).status, 409);
        server.call("DELETE", "/v1/domains/a.example", None);
        assert_eq!(server.call("DELETE", "/v1/pools/main", None).status, 200);
        assert_eq!(server.call("DELETE", "/v1/pools/main", None).status, 404);
    }
}
