//! The steps of one domain's life: transitions, suspend and hold, the operator's word.
//!
//! Each is a request of its own, and a step of `/v1/changes` under the same name; both are read here.

use axum::response::Response;

use super::call::{Call, Wish};
use super::domains::changed;
use super::problem::Problem;
use super::steps::{Form, Steps, whole};
use crate::document::{Faults, Fields};
use crate::engine::{IfMatch, Op, Word};
use crate::wire::Apex;

/// What can be done in a domain's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Moves it to another state.
    Transition,
    /// Lets it take no mail for a while.
    Suspend,
    /// Ends a suspension.
    Resume,
    /// Lets no step withdraw anything.
    Hold,
    /// Ends a hold.
    Unhold,
    /// Takes the operator's word where nobody watches.
    Observed,
}

impl Verb {
    /// Everything that can be done.
    pub(super) const ALL: [Self; 6] = [
        Self::Transition,
        Self::Suspend,
        Self::Resume,
        Self::Hold,
        Self::Unhold,
        Self::Observed,
    ];

    /// Returns the name in paths and of the step of `/v1/changes`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transition => "transition",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Observed => "observed",
        }
    }

    /// Returns the keys of its document, beside the reason.
    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Transition => &["to", "force"],
            Self::Suspend => &["answer", "until"],
            Self::Resume | Self::Hold | Self::Unhold => &[],
            Self::Observed => &[
                "ns",
                "ds",
                "ns_gone",
                "published",
                "mail_ready",
                "policy_served",
                "queries",
                "at",
            ],
        }
    }

    /// Reads its document.
    pub(super) fn read(
        self,
        fields: &Fields<'_, '_>,
        name: Apex,
        if_match: Option<IfMatch>,
    ) -> Option<Op> {
        match self {
            Self::Transition => {
                let to = fields.required("to").and_then(|to| to.parsed());
                let force = fields.or("force", false, |force| force.boolean());
                Some(Op::Transition {
                    name,
                    to: to?,
                    force,
                    if_match,
                })
            }
            Self::Suspend => {
                let answer = fields.required("answer").and_then(|it| it.parsed());
                let until = fields.optional("until").and_then(|it| it.parsed());
                Some(Op::Suspend {
                    name,
                    answer: answer?,
                    until,
                    if_match,
                })
            }
            Self::Resume => Some(Op::Resume { name, if_match }),
            Self::Hold => Some(Op::Hold { name, if_match }),
            Self::Unhold => Some(Op::Unhold { name, if_match }),
            Self::Observed => {
                let word = read_word(fields)?;
                Some(Op::Observe {
                    name,
                    word,
                    if_match,
                })
            }
        }
    }
}

/// Reads the operator's word; one that speaks of nothing is a mistake.
fn read_word(fields: &Fields<'_, '_>) -> Option<Word> {
    let flag = |key: &str| fields.optional(key).and_then(|it| it.boolean());
    let queries = fields.optional("queries");
    let word = Word {
        ns: flag("ns"),
        ds: flag("ds"),
        ns_gone: flag("ns_gone"),
        published: flag("published"),
        mail_ready: flag("mail_ready"),
        policy_served: flag("policy_served"),
        queries: queries.and_then(|it| it.number(0, u64::MAX)),
        at: fields.optional("at").and_then(|it| it.parsed()),
    };
    let silent = Word {
        at: word.at,
        ..Word::default()
    };
    let given = |key: &&str| *key != "at" && fields.optional(key).is_some();
    if word == silent && !Verb::Observed.keys().iter().any(given) {
        fields.refuse(
            "ns",
            "expected at least one thing that was seen, found none",
        );
        return None;
    }
    if word.ns == Some(true) && word.ns_gone == Some(true) {
        fields.refuse(
            "ns_gone",
            "expected a delegation to us (ns) or none at all (ns_gone), found both",
        );
        return None;
    }
    Some(word)
}

/// Moves a domain to another state of its life.
pub(super) async fn transition(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Transition).await
}

/// Lets a domain take no mail for a while.
pub(super) async fn suspend(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Suspend).await
}

/// Ends a suspension.
pub(super) async fn resume(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Resume).await
}

/// Lets no step withdraw anything of a domain.
pub(super) async fn hold(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Hold).await
}

/// Lets a domain that was held go on.
pub(super) async fn unhold(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Unhold).await
}

/// Takes the operator's word where nobody watches.
pub(super) async fn observed(call: Call) -> Result<Response, Problem> {
    act(call, Verb::Observed).await
}

/// Does what a request about one domain asks for, and answers with the domain.
async fn act(mut call: Call, verb: Verb) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.apex("name")?;
    let if_match = call.if_match()?;
    let (document, octets) = call.json().await?;
    let mut wish = Wish {
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let faults = Faults::new();
    let known: Vec<&str> = verb.keys().iter().copied().chain(["reason"]).collect();
    let op = whole(&document, &faults).fields(&known).and_then(|fields| {
        wish.read(&fields);
        verb.read(&fields, name.clone(), if_match)
    });
    let op = faults.finish(op).map_err(Problem::invalid)?;
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(changed(&call, &name, &outcome))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::edge::tests::Server;

    #[test]
    fn a_life_is_walked_over_http() {
        let server = Server::with_pool();
        let ok = |method: &str, path: &str, body: Option<Value>| {
            let answer = server.call(method, path, body.as_ref());
            assert!(matches!(answer.status, 200 | 201), "{path}: {answer:?}");
            answer.json
        };
        for name in ["a.example", "b.example"] {
            let body = json!({"pool": "main", "name": name});
            ok("POST", "/v1/domains", Some(body));
            let said = json!({"ns": true, "ds": true, "mail_ready": true});
            let path = format!("/v1/domains/{name}/observed");
            ok("POST", &path, Some(said));
        }
        let forced = json!({"to": "active", "force": true, "reason": "test"});
        ok("POST", "/v1/domains/a.example/transition", Some(forced));
        let given = ok("POST", "/v1/pools/main/handout", None);
        assert_eq!(given["domain"], "a.example");

        let suspension = json!({"answer": "later", "reason": "abuse"});
        let path = "/v1/domains/a.example/suspend";
        let suspended = ok("POST", path, Some(suspension));
        assert_eq!(suspended["routing"], "later");
        assert_eq!(suspended["suspended"]["reason"], "abuse");
        let refused = server.call("POST", "/v1/pools/main/handout", None);
        assert_eq!(refused.status, 409);
        for changed in [true, false] {
            let resumed = ok("POST", "/v1/domains/a.example/resume", Some(json!({})));
            assert_eq!(resumed["changed"], changed);
        }
        let held = json!({"reason": "court"});
        let held = ok("POST", "/v1/domains/a.example/hold", Some(held));
        assert_eq!(held["hold"]["reason"], "court");
        for changed in [true, false] {
            let unheld = ok("POST", "/v1/domains/a.example/unhold", Some(json!({})));
            assert_eq!(unheld["changed"], changed);
        }

        let burn = json!({"burn": ["a.example"], "activate": 1, "dry_run": true});
        let dry = ok("POST", "/v1/pools/main/rotate", Some(burn));
        assert_eq!(dry["draining"], json!(["a.example"]));
        assert_eq!(dry["activated"], json!(["b.example"]));
        assert_eq!(dry["short"], 0);
        let burn = json!({"burn": ["a.example"], "reason": "burnt"});
        let done = ok("POST", "/v1/pools/main/rotate", Some(burn));
        assert_eq!(done["draining"], json!(["a.example"]));
        let shown = ok("GET", "/v1/domains/a.example", None);
        assert_eq!(shown["state"], "draining");
        assert_eq!(shown["next"]["waiting_for"][0]["rule"], "R1");

        let caches = ok("GET", "/v1/domains/a.example/caches", None);
        assert!(caches["items"].as_array().unwrap().len() > 3, "{caches}");
        let work = ok("GET", "/v1/delegations?differs=true", None);
        assert_eq!(work["items"], json!([]));
        let host = json!({"revision": 1});
        let unknown = server.call("POST", "/v1/hosts/mx9.example/applied", Some(&host));
        assert_eq!(unknown.status, 404, "{unknown:?}");
    }

    #[test]
    fn a_step_that_must_wait_says_for_what() {
        let server = Server::start();
        let mut settings = crate::api::edge::tests::settings();
        settings["readiness"] = json!({"delegated": true, "secured": "no", "mail_ready": false});
        server.call("PUT", "/v1/pools/main", Some(&settings));
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let step =
            |body: Value| server.call("POST", "/v1/domains/a.example/transition", Some(&body));

        let early = step(json!({"to": "active"}));
        let bare = step(json!({"to": "active", "force": true}));
        let forced = step(json!({"to": "active", "force": true, "reason": "known"}));

        assert_eq!(early.status, 409, "{early:?}");
        assert!(
            early.json["waiting_for"][0]["rule"].is_string(),
            "{early:?}"
        );
        assert_eq!(bare.status, 422);
        assert_eq!(bare.pointers(), ["/reason".to_owned()].into());
        assert_eq!(forced.status, 200, "{forced:?}");
        assert_eq!(forced.json["state"], "active");
        assert_eq!(
            step(json!({"to": "asleep"})).pointers(),
            ["/to".to_owned()].into()
        );
    }

    #[test]
    fn a_reason_that_says_nothing_is_none() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        for (verb, mut body) in [
            ("suspend", json!({"answer": "later"})),
            ("transition", json!({"to": "active", "force": true})),
        ] {
            let path = format!("/v1/domains/a.example/{verb}");
            body["reason"] = json!(" ");
            let blank = server.call("POST", &path, Some(&body));
            body["reason"] = json!("abuse");
            let told = server.call("POST", &path, Some(&body));

            assert_eq!(blank.status, 422, "{blank:?}");
            assert_eq!(blank.pointers(), ["/reason".to_owned()].into());
            assert_eq!(told.status, 200, "{told:?}");
        }
    }

    #[test]
    fn a_delegation_that_is_there_and_gone_was_not_seen() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));

        let both = json!({"ns": true, "ns_gone": true});
        let answer = server.call("POST", "/v1/domains/a.example/observed", Some(&both));

        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.pointers(), ["/ns_gone".to_owned()].into());
    }
}
