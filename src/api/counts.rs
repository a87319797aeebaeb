//! `/v1/counts`: how often domains that take no mail are still asked for.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::problem::Problem;

/// Lists the MX queries a day of every domain with a null MX, as this server counted them (X5).
///
/// A domain that was not counted for a whole day yet has `null`.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let counts = call.api.engine.view().counts();
    let items: Value = counts
        .iter()
        .map(|count| {
            json!({
                "name": count.name.to_api_text(),
                "queries_per_day": count.queries,
                "until": count.until.map(|until| until.to_string()),
            })
        })
        .collect();
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": null}),
    ))
}
