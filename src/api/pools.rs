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
    let pools = call.api.engine.view().pools();
    let items: Vec<Value> = pools.iter().map(show::pool).collect();
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
    Ok(resource(&call, pool.revision, &show::pool(&pool)))
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
    let outcome = call
        .change(Steps::one(op, Form::Plain), Wish::default())
        .await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"revision": outcome.revision}),
    ))
}
