//! The pools that are served, and their zones as files for the other servers.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::process::{Mxpool, http, settings};

/// The domains of both pools.
pub(crate) struct Pools {
    /// Domains whose random names do not exist.
    pub(crate) plain: Vec<String>,
    /// Domains with `subdomains = true`: a `*` takes mail for any name.
    pub(crate) wild: Vec<String>,
}

impl Pools {
    /// Names the domains of both pools.
    pub(crate) fn of(size: usize, wild: usize) -> Self {
        Self {
            plain: (0..size).map(|n| format!("d{n}.example")).collect(),
            wild: (0..wild).map(|n| format!("w{n}.example")).collect(),
        }
    }

    /// Returns the names of all zones.
    pub(crate) fn zones(&self) -> Vec<String> {
        [self.plain.as_slice(), &self.wild].concat()
    }

    /// Creates pools and domains.
    pub(crate) fn create(&self, server: &Mxpool) {
        server.put_pool("plain");
        server.add_domains("plain", &self.plain);
        if !self.wild.is_empty() {
            let mut wild = settings();
            wild["subdomains"] = json!(true);
            server.ok("PUT", "/v1/pools/wild", Some(&wild));
            server.add_domains("wild", &self.wild);
        }
    }

    /// Writes every zone as it is served, signatures included, into `folder`/zones.
    pub(crate) fn export(&self, server: &Mxpool, folder: &Path) {
        let zones = folder.join("zones");
        fs::create_dir_all(&zones).expect("the folder can be written");
        let (agent, token) = (http(), format!("Bearer {}", server.token()));
        for zone in self.zones() {
            let url = format!("{}/v1/domains/{zone}/zone?signed=true", server.api);
            let answer = agent.get(url).header("authorization", &token).call();
            let mut answer = answer.expect("the API answers");
            assert_eq!(answer.status().as_u16(), 200, "{zone}");
            let text = answer.body_mut().read_to_string().expect("a zone comes");
            fs::write(zones.join(format!("{zone}.zone")), text).expect("the folder can be written");
        }
    }
}
