//! `/v1/delegations`: the registrars' work list.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::problem::Problem;
use super::refusal::waiting;
use super::show;
use crate::engine::{Domain, DomainFilter, View};
use crate::lifecycle::{DsSeen, LifecycleState, NsSeen, WaitingFor};
use crate::wire::Apex;

/// How many domains are read while the facts are held still, which the writer waits for.
const PAGE: usize = 1_024;

/// The form of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListForm {
    /// A JSON document.
    Json,
    /// Comma-separated values (RFC 4180).
    Csv,
}

/// What is asked of one domain's registrar, and what was seen.
struct Task {
    /// The domain.
    name: Apex,
    /// Where it is registered.
    registrar: Option<String>,
    /// The name servers that the parent should show; none for a name that is given up.
    ns: Vec<String>,
    /// The DS records that the parent should show.
    ds: Value,
    /// What the parent was seen to show.
    seen: (Option<NsSeen>, Option<DsSeen>),
    /// What is to be done.
    action: Option<&'static str>,
    /// What is to be waited for before.
    waiting_for: Vec<WaitingFor>,
}

/// Returns what the registrars are to set, and what was seen: with `differs` only where they have
/// work.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["differs", "format"]);
    let differs = params.flag("differs");
    let form = params.with("format", |text| match text {
        "json" => Ok(ListForm::Json),
        "csv" => Ok(ListForm::Csv),
        found => Err(format!("expected json or csv, found {found:?}")),
    });
    params.finish()?;
    let form = form.unwrap_or(if call.accepts("text/csv") {
        ListForm::Csv
    } else {
        ListForm::Json
    });
    let mut tasks = Vec::new();
    let mut after: Option<Apex> = None;
    loop {
        let view = call.api.engine.view();
        let page = view.domains(&DomainFilter::default(), after.as_ref(), PAGE);
        let domains = page.items.iter().filter(|it| it.dropped.is_none());
        let found = domains.map(|domain| task(domain, &view));
        tasks.extend(found.filter(|task| task.action.is_some() || !differs));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if form == ListForm::Csv {
        let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        return Ok(([(header::CONTENT_TYPE, kind)], csv(&tasks)).into_response());
    }
    let items: Value = tasks.iter().map(show_task).collect();
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": null}),
    ))
}

/// Returns what is asked of a domain's registrar.
fn task(domain: &Domain, view: &View<'_>) -> Task {
    let ns = domain.observed.ns.as_ref().map(|seen| seen.what);
    let ds = domain.observed.ds.as_ref().map(|seen| seen.what);
    let released = domain.state == LifecycleState::Released;
    let settings = view.pool(&domain.pool).map(|pool| pool.settings);
    let servers = settings.iter().flat_map(|settings| settings.nameservers());
    let servers = servers.filter_map(|server| server.under(&domain.name).ok());
    let servers = servers.map(|server| server.to_api_text());
    Task {
        name: domain.name.clone(),
        registrar: domain.registrar.clone(),
        ns: if released {
            Vec::new()
        } else {
            servers.collect()
        },
        ds: if released {
            json!([])
        } else {
            show::ds(&domain.name, &domain.ds)
        },
        seen: (ns, ds),
        action: action(released, ns, ds),
        waiting_for: if released || ns == Some(NsSeen::Ours) {
            Vec::new()
        } else {
            view.delegation_waits(&domain.name)
        },
    }
}

/// Says what is to be done at a registrar, if anything is.
fn action(released: bool, ns: Option<NsSeen>, ds: Option<DsSeen>) -> Option<&'static str> {
    match (released, ns, ds) {
        (true, Some(NsSeen::Gone), _) => None,
        (true, ..) => Some("delete the name"),
        // Bogus now: this comes before everything else (A6, I7).
        (false, _, Some(DsSeen::Foreign)) => Some("replace the DS: it matches no key"),
        (false, Some(NsSeen::Ours), Some(DsSeen::Ours)) => None,
        (false, Some(NsSeen::Ours), _) => Some("set the DS"),
        (false, _, Some(DsSeen::Ours)) => Some("set the name servers"),
        (false, ..) => Some("set the name servers and the DS"),
    }
}

/// Returns the word for the name servers that were seen.
fn ns_word(seen: NsSeen) -> &'static str {
    match seen {
        NsSeen::Ours => "ours",
        NsSeen::Others => "others",
        NsSeen::Gone => "gone",
    }
}

/// Returns the word for the DS records that were seen.
fn ds_word(seen: DsSeen) -> &'static str {
    match seen {
        DsSeen::Ours => "ours",
        DsSeen::Absent => "absent",
        DsSeen::Foreign => "foreign",
    }
}

/// Returns a task as a document.
fn show_task(task: &Task) -> Value {
    json!({
        "name": task.name.to_api_text(),
        "registrar": task.registrar,
        "want": {"ns": task.ns, "ds": task.ds},
        "seen": {"ns": task.seen.0.map(ns_word), "ds": task.seen.1.map(ds_word)},
        "action": task.action,
        "waiting_for": waiting(&task.waiting_for),
    })
}

/// Returns the tasks as comma-separated values; several values in one field have spaces or, for DS
/// records, semicolons between them.
fn csv(tasks: &[Task]) -> String {
    let mut text =
        "name,registrar,action,want_ns,want_ds,seen_ns,seen_ds,waiting_for\r\n".to_owned();
    for task in tasks {
        let ds = task.ds.as_array().into_iter().flatten();
        let ds = ds.map(|ds| {
            let fields = ["key_tag", "algorithm", "digest_type", "digest"];
            let fields = fields.map(|key| match &ds[key] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            fields.join(" ")
        });
        let ds: Vec<String> = ds.collect();
        let waits: Vec<String> = task.waiting_for.iter().map(ToString::to_string).collect();
        let fields = [
            task.name.to_api_text(),
            task.registrar.clone().unwrap_or_default(),
            task.action.unwrap_or_default().to_owned(),
            task.ns.join(" "),
            ds.join("; "),
            task.seen.0.map_or("", ns_word).to_owned(),
            task.seen.1.map_or("", ds_word).to_owned(),
            waits.join("; "),
        ];
        let fields = fields.map(|field| quoted(&field));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// Returns a field in quotes where it needs them (RFC 4180, section 2).
///
/// What a spreadsheet would take for a formula is kept a text: a registrar's name is the operator's
/// own, but who opens the list need not be.
fn quoted(field: &str) -> String {
    let field = match field.starts_with(['=', '+', '-', '@', '\t']) {
        true => format!("'{field}"),
        false => field.to_owned(),
    };
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn the_work_list_is_empty_when_all_is_done() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example", "registrar": "A, \"B\""});
        server.call("POST", "/v1/domains", Some(&body));
        let list = |query: &str| server.call("GET", &format!("/v1/delegations{query}"), None);

        let open = list("?differs=true").json;
        let csv = list("?differs=true&format=csv");
        let accepted = server.send("GET", "/v1/delegations", &[("accept", "text/csv")], "");
        let seen = json!({"ns": true, "ds": true});
        server.call("POST", "/v1/domains/a.example/observed", Some(&seen));

        assert_eq!(
            open["items"][0]["action"],
            "set the name servers and the DS"
        );
        assert_eq!(open["items"][0]["want"]["ns"][0], "ns1.infra.example");
        assert!(open["items"][0]["want"]["ds"][0]["digest"].is_string());
        assert_eq!(open["items"][0]["seen"], json!({"ns": null, "ds": null}));
        assert!(csv.media_type.starts_with("text/csv"), "{csv:?}");
        assert_eq!(accepted.octets, csv.octets);
        let text = String::from_utf8(csv.octets).unwrap();
        let line = text.lines().nth(1).unwrap();
        let start = "a.example,\"A, \"\"B\"\"\",set the name servers and the DS,";
        assert!(line.starts_with(start), "{text}");
        assert_eq!(list("?differs=true").json["items"], json!([]));
        assert_eq!(list("").json["items"][0]["action"], json!(null));
        assert_eq!(list("?format=xml").status, 422);
    }

    #[test]
    fn t0_a_registrar_is_not_told_before_the_zone_is_served() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        let list = |query: &str| server.call("GET", &format!("/v1/delegations{query}"), None);

        let waits = list("").json["items"][0]["waiting_for"].clone();
        let csv = String::from_utf8(list("?format=csv").octets).unwrap();

        // Propagation is assumed to take a minute; the test's clock stands at 16:30.
        assert_eq!(waits[0]["rule"], "T0", "{waits}");
        assert_eq!(waits[0]["not_before"], "2026-11-24T16:31:00Z");
        assert!(
            csv.contains(", not before 2026-11-24T16:31:00Z\"\r\n"),
            "{csv}"
        );
        let seen = json!({"ns": true});
        server.call("POST", "/v1/domains/a.example/observed", Some(&seen));
        let waits = list("").json["items"][0]["waiting_for"].clone();
        assert_eq!(
            waits,
            json!([]),
            "who names our servers need not be told to wait"
        );
    }

    #[test]
    fn a_foreign_ds_comes_first() {
        let ours = Some(NsSeen::Ours);

        let done = action(false, ours, Some(DsSeen::Foreign));

        assert_eq!(done, Some("replace the DS: it matches no key"));
        assert_eq!(action(true, Some(NsSeen::Gone), None), None);
        assert_eq!(
            action(true, ours, Some(DsSeen::Ours)),
            Some("delete the name")
        );
        assert_eq!(
            action(false, None, Some(DsSeen::Ours)),
            Some("set the name servers")
        );
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
