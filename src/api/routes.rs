//! The list of routes: what there is, who does it, how it is described.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, patch, post, put};
use utoipa::openapi::HttpMethod;

use super::edge::Api;
use super::schema::Shape;
use super::{
    adding, audit, backup, caches, change, changes, counts, delegations, domains, health, lives,
    pools, rotation, routing, rrsets, zones,
};

/// A path and what it does; some routes of one path differ in their method only.
pub(super) struct Route {
    /// The path, with `{names}`.
    pub(super) path: &'static str,
    /// What is done.
    pub(super) handler: MethodRouter<Arc<Api>>,
    /// What the OpenAPI document says of it.
    pub(super) about: About,
}

/// What the OpenAPI document says of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// The method.
    pub(super) method: HttpVerb,
    /// In one line.
    pub(super) summary: &'static str,
    /// The query's parameters.
    pub(super) query: &'static [&'static str],
    /// The body that is asked for.
    pub(super) request: Option<Shape>,
    /// The status of the good answer.
    pub(super) status: u16,
    /// The body of the good answer.
    pub(super) answer: Shape,
}

/// The methods that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVerb {
    /// Reads.
    Get,
    /// Replaces.
    Put,
    /// Adds or does.
    Post,
    /// Changes in part.
    Patch,
    /// Removes.
    Delete,
}

impl HttpVerb {
    /// Returns the method as the OpenAPI document knows it.
    pub(super) fn in_openapi(self) -> HttpMethod {
        match self {
            Self::Get => HttpMethod::Get,
            Self::Put => HttpMethod::Put,
            Self::Post => HttpMethod::Post,
            Self::Patch => HttpMethod::Patch,
            Self::Delete => HttpMethod::Delete,
        }
    }
}

/// Makes the description of a route.
macro_rules! about {
    ($verb:ident, $summary:literal, [$($query:literal),*], $request:expr, $status:literal $answer:ident) => {
        About {
            method: HttpVerb::$verb,
            summary: $summary,
            query: &[$($query),*],
            request: $request,
            status: $status,
            answer: Shape::$answer,
        }
    };
}

/// Lists every route there is.
macro_rules! routes {
    ($($verb:ident $method:ident $path:literal $handler:path => $summary:literal, [$($query:literal),*],
       $request:expr, $status:literal $answer:ident;)*) => {
        vec![$(Route {
            path: $path,
            handler: $method($handler),
            about: about!($verb, $summary, [$($query),*], $request, $status $answer),
        }),*]
    };
}

/// Returns every route: the router and the OpenAPI document are made from this list.
#[rustfmt::skip]
pub(super) fn all() -> Vec<Route> {
    routes! {
        Get get "/healthz" health::alive => "Alive?", [], None, 200 Health;
        Get get "/readyz" health::ready => "Serving current data?", [], None, 200 Health;
        Get get "/metrics" health::metrics => "Prometheus metrics", [], None, 200 Text;
        Get get "/openapi.json" health::describe => "This document", [], None, 200 Object;
        Get get "/v1/zones" zones::list => "List the operator's own zones", [], None, 200 ZonePage;
        Get get "/v1/zones/{zone}" zones::show => "A zone's master file", ["signed"], None, 200 MasterFile;
        Put put "/v1/zones/{zone}" zones::put => "Create a zone or replace its records", ["dry_run", "expect_domains"], Some(Shape::MasterFile), 200 Plan;
        Delete delete "/v1/zones/{zone}" zones::delete => "Delete a zone", ["expect_domains"], None, 200 Done;
        Get get "/v1/zones/{zone}/ds" zones::ds => "What the zone's registrar is told", [], None, 200 Delegation;
        Get get "/v1/zones/{zone}/keys" zones::keys => "The zone's keys", [], None, 200 KeyPage;
        Get get "/v1/pools" pools::list => "List the pools", [], None, 200 PoolPage;
        Get get "/v1/pools/{pool}" pools::show => "A pool's settings and counts", [], None, 200 Pool;
        Put put "/v1/pools/{pool}" pools::put => "Create a pool or change its settings", ["dry_run", "expect_domains"], Some(Shape::Pool), 200 Plan;
        Delete delete "/v1/pools/{pool}" pools::delete => "Delete a pool that has no domains", [], None, 200 Done;
        Get get "/v1/domains" domains::list => "A page of domains", ["pool", "state", "retire_due", "after", "limit"], None, 200 DomainPage;
        Post post "/v1/domains" adding::add => "Add one domain, or up to 10 000, all or none", [], Some(Shape::AddDomains), 201 Added;
        Get get "/v1/domains/{name}" domains::show => "A domain", [], None, 200 Domain;
        Patch patch "/v1/domains/{name}" domains::patch => "Change what is said about a domain", [], Some(Shape::PatchDomain), 200 Domain;
        Delete delete "/v1/domains/{name}" domains::delete => "Delete a domain with its keys", ["force", "expect_domains"], None, 200 Done;
        Post post "/v1/domains/{name}/transition" lives::transition => "Move a domain to another state", [], Some(Shape::Transition), 200 Domain;
        Post post "/v1/domains/{name}/suspend" lives::suspend => "Let a domain take no mail for a while", [], Some(Shape::Suspend), 200 Domain;
        Post post "/v1/domains/{name}/resume" lives::resume => "End a suspension", [], Some(Shape::Reason), 200 Domain;
        Post post "/v1/domains/{name}/hold" lives::hold => "Let no step withdraw anything of a domain", [], Some(Shape::Reason), 200 Domain;
        Post post "/v1/domains/{name}/unhold" lives::unhold => "Let a domain that was held go on", [], Some(Shape::Reason), 200 Domain;
        Post post "/v1/domains/{name}/observed" lives::observed => "Say what nobody watches", [], Some(Shape::Observed), 200 Domain;
        Get get "/v1/domains/{name}/caches" caches::read => "What caches and senders may still hold of a domain", ["at"], None, 200 Caches;
        Post post "/v1/pools/{pool}/rotate" rotation::rotate => "Drain domains and activate others in their place", ["dry_run", "expect_domains"], Some(Shape::Rotate), 200 Rotation;
        Post post "/v1/pools/{pool}/handout" rotation::hand_out => "The domain that the next new address comes from", [], None, 200 HandOut;
        Get get "/v1/routing" routing::read => "What mail hosts may accept, a line for each domain", ["after"], None, 200 Routing;
        Post post "/v1/hosts/{host}/applied" routing::applied => "A mail host has applied the routing", [], Some(Shape::Applied), 200 Done;
        Post post "/v1/hosts/{host}/deferrals" routing::deferrals => "A mail host made senders defer, unseen", [], Some(Shape::Deferrals), 200 Done;
        Get get "/v1/counts" counts::list => "MX queries a day of domains that take no mail", [], None, 200 Counts;
        Get get "/v1/delegations" delegations::list => "The registrars' work list", ["differs", "format"], None, 200 Work;
        Get get "/v1/domains/{name}/ds" domains::ds => "What the domain's registrar is told", [], None, 200 Delegation;
        Get get "/v1/domains/{name}/zone" domains::zone => "The domain's zone as a master file", ["signed"], None, 200 MasterFile;
        Get get "/v1/domains/{name}/mta-sts.txt" domains::mta_sts => "The MTA-STS policy file for the domain's web host", [], None, 200 Text;
        Get get "/v1/domains/{name}/rrsets/{owner}/{type}" rrsets::show => "An RRset of the domain", [], None, 200 Rrset;
        Put put "/v1/domains/{name}/rrsets/{owner}/{type}" rrsets::put => "Give the domain an RRset of its own", [], Some(Shape::Rrset), 200 Done;
        Delete delete "/v1/domains/{name}/rrsets/{owner}/{type}" rrsets::delete => "Take an RRset of its own from the domain", [], None, 200 Done;
        Post post "/v1/changes" changes::post => "Any number of steps, all or none, now or at a moment", ["dry_run", "expect_domains"], Some(Shape::Changes), 200 Plan;
        Get get "/v1/changes" change::list => "The changes that wait for their moment, the next one first", [], None, 200 WaitingChanges;
        Get get "/v1/changes/{id}" change::show => "A change: what it did or is to do, and what undoing it would do", [], None, 200 StoredChange;
        Post post "/v1/changes/{id}/undo" change::undo => "Take a change back, or call a scheduled one off", ["dry_run", "expect_domains"], Some(Shape::Undo), 200 Plan;
        Get get "/v1/audit" audit::list => "Who changed what: the first entries, those behind one, or the last ones", ["after", "limit", "last"], None, 200 AuditPage;
        Get get "/v1/backup" backup::read => "A consistent copy of the running store", [], None, 200 Octets;
    }
}
