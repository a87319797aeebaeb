//! Domains that are added to a pool, one or thousands at a time.

use std::collections::{BTreeMap, HashSet};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::call::{self, Call, Wish, json as answer, with_tag};
use super::domains::read_name;
use super::problem::Problem;
use super::show;
use super::steps::{Form, Place, Steps, whole};
use crate::clock::Timestamp;
use crate::document::{Faults, Fields, Pointer};
use crate::engine::{AddDomain, Domain, Op};
use crate::wire::Apex;

/// The most domains that one batch adds.
const BATCH: usize = 10_000;
/// The keys of a document that adds domains.
pub(super) const ADD_KEYS: [&str; 7] = [
    "pool",
    "name",
    "names",
    "fresh",
    "registrar",
    "expires_at",
    "labels",
];

/// Adds one domain, or a batch of them.
pub(super) async fn add(mut call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    call.refuse_if_match()?;
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let mut steps = Steps::default();
    let read = whole(&document, &faults)
        .fields(&ADD_KEYS)
        .and_then(|fields| read_add(&fields, &mut steps, 0, IfThere::Refuse));
    faults.finish(read).map_err(Problem::invalid)?;
    let names = added(&steps);
    let wish = Wish {
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let outcome = call.change(steps, wish).await?;
    if document.get("names").is_some_and(|names| !names.is_null()) {
        return Ok(batch(&call, &names, outcome.revision));
    }
    let Some(name) = names.first() else {
        return Ok(answer(
            StatusCode::CREATED,
            &json!({"revision": outcome.revision}),
        ));
    };
    let current = show::current_domain(&call.api.engine.view(), name);
    // Called again under its key, the answer may come after the domain has gone.
    let (tag, mut document) = current.unwrap_or_else(|| {
        let gone = json!({"name": name.to_api_text(), "ds": []});
        (outcome.revision, gone)
    });
    document["revision"] = json!(outcome.revision);
    let mut response = with_tag(answer(StatusCode::CREATED, &document), tag);
    let location = format!("/v1/domains/{}", name.to_api_text());
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Whether a domain that is in the pool already is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfThere {
    /// It is: the caller wants to create it.
    Refuse,
    /// It is not: the caller wants it to be there.
    Pass,
}

/// What is said about a domain beside its name.
pub(super) struct About {
    /// Where it is registered.
    pub(super) registrar: Option<String>,
    /// When its registration ends.
    pub(super) expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub(super) labels: BTreeMap<String, String>,
}

/// Reads a document that adds domains, and appends a step for each.
pub(super) fn read_add(
    fields: &Fields<'_, '_>,
    steps: &mut Steps,
    step: usize,
    if_there: IfThere,
) -> Option<()> {
    let pool = fields.required("pool").and_then(|pool| pool.text());
    let fresh = fields.optional("fresh").and_then(|fresh| fresh.boolean());
    let about = read_about(fields);
    let names = read_names(fields);
    let (pool, names) = (pool?, names?);
    for (name, pointer) in names {
        let add = AddDomain {
            pool: pool.to_owned(),
            name,
            if_absent: if_there == IfThere::Pass,
            fresh,
            registrar: about.registrar.clone(),
            expires_at: about.expires_at,
            labels: about.labels.clone(),
        };
        let place = Place {
            step,
            document: fields.pointer().clone(),
            form: Form::Name(pointer),
        };
        steps.push(Op::AddDomain(add), place);
    }
    Some(())
}

/// Reads `name` or `names`; every name that is wrong is noted, and one that comes twice.
fn read_names(fields: &Fields<'_, '_>) -> Option<Vec<(Apex, Pointer)>> {
    let (name, names) = (fields.optional("name"), fields.optional("names"));
    let names = match (name, names) {
        (Some(name), None) => return read_name(&name).map(|name| vec![name]),
        (None, Some(names)) => names.array()?,
        (Some(_), Some(_)) => {
            fields.refuse("names", "expected name or names, found both");
            return None;
        }
        (None, None) => {
            fields.refuse("name", "expected name or names, found neither");
            return None;
        }
    };
    if names.is_empty() || names.len() > BATCH {
        let found = names.len();
        fields.refuse(
            "names",
            format!("expected 1 to {BATCH} names, found {found}"),
        );
        return None;
    }
    let mut seen = HashSet::with_capacity(names.len());
    let read: Vec<Option<(Apex, Pointer)>> = names
        .iter()
        .map(|element| {
            let (name, pointer) = read_name(element)?;
            if !seen.insert(name.clone()) {
                element.refuse(format!("{:?} is named twice", name.to_api_text()));
                return None;
            }
            Some((name, pointer))
        })
        .collect();
    read.into_iter().collect()
}

/// The octets of a registrar, and of a label and its key: they are kept with each of 10 000 names that
/// one call may add.
const WORDS: usize = 255;
/// How many labels a domain has at most.
const MOST_LABELS: usize = 64;

/// Reads what is said about a domain beside its name.
pub(super) fn read_about(fields: &Fields<'_, '_>) -> About {
    let registrar = fields.optional("registrar");
    let registrar = registrar.and_then(|registrar| registrar.words(WORDS));
    let expires_at = fields.optional("expires_at");
    let labels = fields.optional("labels").and_then(|labels| {
        let entries = labels.entries()?;
        if entries.len() > MOST_LABELS {
            let found = entries.len();
            labels.refuse(format!(
                "expected at most {MOST_LABELS} labels, found {found}"
            ));
            return None;
        }
        let labels = entries.into_iter().map(|(key, value)| {
            if key.len() > WORDS {
                let found = key.len();
                value.refuse(format!(
                    "expected a key of at most {WORDS} octets, found {found}"
                ));
                return None;
            }
            if key.chars().any(char::is_control) {
                value.refuse(format!(
                    "expected a key without control characters, found {key:?}"
                ));
                return None;
            }
            Some((key.to_owned(), value.words(WORDS)?.to_owned()))
        });
        labels.collect::<Vec<_>>().into_iter().collect()
    });
    About {
        registrar: registrar.map(str::to_owned),
        expires_at: expires_at.and_then(|moment| moment.parsed()),
        labels: labels.unwrap_or_default(),
    }
}

/// Returns the names that steps add.
fn added(steps: &Steps) -> Vec<Apex> {
    let names = steps.ops().iter().filter_map(|op| match op {
        Op::AddDomain(add) => Some(add.name.clone()),
        _ => None,
    });
    names.collect()
}

/// The answer to a batch.
#[derive(Serialize)]
struct BatchDocument {
    /// How many domains there are.
    created: usize,
    /// Each domain.
    items: Vec<BatchItem>,
    /// The revision at which they are there.
    revision: u64,
}

/// A domain in the answer to a batch.
#[derive(Serialize)]
struct BatchItem {
    /// What its parent must be told.
    ds: Vec<show::DsDocument>,
    /// Its name.
    name: String,
}

/// How many domains are looked up while the facts are held still, which the writer waits for.
const SLICE: usize = 256;

/// Answers to a batch: each domain with its DS.
///
/// Written without a tree in between, which would take several times as long for ten thousand.
fn batch(call: &Call, names: &[Apex], revision: u64) -> Response {
    let mut items = Vec::with_capacity(names.len());
    for names in names.chunks(SLICE) {
        let view = call.api.engine.view();
        let found: Vec<Option<Domain>> = names.iter().map(|name| view.domain(name)).collect();
        drop(view);
        items.extend(names.iter().zip(found).map(|(name, found)| BatchItem {
            ds: found.map_or_else(Vec::new, |domain| show::ds_documents(name, &domain.ds)),
            name: name.to_api_text(),
        }));
    }
    let created = names.len();
    let document = BatchDocument {
        created,
        items,
        revision,
    };
    call::document(StatusCode::CREATED, &document)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn a_batch_is_created_whole_with_its_ds() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": ["a.example", "B.example.", "bücher.example"]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json["created"], 3);
        let items = answer.json["items"].as_array().unwrap();
        let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["a.example", "b.example", "xn--bcher-kva.example"]);
        let text = items[0]["ds"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("a.example. IN DS "), "{text}");
    }

    #[test]
    fn every_wrong_name_of_a_batch_is_named_and_nothing_is_created() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": [
            "good.example", "a..example", "", "under_score.example", "GOOD.example", 7,
        ]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 422, "{answer:?}");
        let wrong = ["/names/1", "/names/2", "/names/3", "/names/4", "/names/5"];
        assert_eq!(answer.pointers(), wrong.map(str::to_owned).into());
        let page = server.call("GET", "/v1/domains", None);
        assert_eq!(page.json, json!({"items": [], "next": null}));
    }

    #[test]
    fn what_clashes_with_what_is_there_is_named_too() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let body = json!({"pool": "main", "names": ["b.example", "a.example", "x.a.example"]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(
            answer.pointers(),
            ["/names/1", "/names/2"].map(str::to_owned).into()
        );
        let other = server.call(
            "POST",
            "/v1/domains",
            Some(&json!({
                "pool": "other", "names": ["c.example", "d.example"],
            })),
        );
        assert_eq!(other.status, 422, "{other:?}");
        assert_eq!(other.pointers(), ["/pool".to_owned()].into());
    }

    /// Each of 10 000 domains keeps what is said of it: one call of some megabytes took all memory.
    #[test]
    fn what_is_kept_with_every_domain_is_bounded() {
        let server = Server::with_pool();
        let long = "x".repeat(256);
        let labels: serde_json::Map<String, Value> =
            (0..65).map(|n| (format!("label {n}"), json!(""))).collect();
        let body = json!({"pool": "main", "name": "a.example", "registrar": long,
                          "labels": {"short": long, long.as_str(): "x"}});
        let many = json!({"pool": "main", "name": "a.example", "labels": labels});
        let suspend = json!({"answer": "later", "reason": "x".repeat(1_001)});

        let refused = server.call("POST", "/v1/domains", Some(&body));
        let too_many = server.call("POST", "/v1/domains", Some(&many));
        let added = json!({"pool": "main", "name": "a.example", "registrar": &long[1..]});
        assert_eq!(server.call("POST", "/v1/domains", Some(&added)).status, 201);
        let suspended = server.call("POST", "/v1/domains/a.example/suspend", Some(&suspend));

        let wrong = [
            "/registrar".to_owned(),
            "/labels/short".to_owned(),
            format!("/labels/{long}"),
        ];
        assert_eq!(refused.pointers(), wrong.into());
        assert_eq!(too_many.pointers(), ["/labels".to_owned()].into());
        assert_eq!(suspended.pointers(), ["/reason".to_owned()].into());
    }

    #[test]
    fn ten_thousand_and_one_names_are_too_many() {
        let server = Server::with_pool();
        let names: Vec<String> = (0..10_001).map(|n| format!("d{n}.example")).collect();

        let body = json!({"pool": "main", "names": names});
        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 422);
        assert_eq!(answer.pointers(), ["/names".to_owned()].into());
    }

    #[test]
    fn a_key_stands_for_one_request_and_gives_one_answer() {
        let server = Server::with_pool();
        let post = |key: &str, name: &str| {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", key),
            ];
            let body = json!({"pool": "main", "name": name}).to_string();
            server.send("POST", "/v1/domains", &headers, &body)
        };

        let first = post("k1", "a.example");
        let again = post("k1", "a.example");

        assert_eq!(first.status, 201, "{first:?}");
        assert_eq!((again.status, &again.json), (201, &first.json));
        let other = post("k1", "b.example");
        assert_eq!(other.status, 422);
        assert_eq!(other.json["type"], "/problems/key-reused");
        assert_eq!(post("k2", "a.example").status, 409);
    }
}
