//! That the servers which are compared do the same work.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::connected;
use super::measure::query;
use super::mix::Queries;
use super::pool::Pools;
use super::servers::Scene;

/// SOA (RFC 1035, section 3.2.2).
const SOA: u8 = 6;
/// How many queries of each kind all servers are asked.
const SAMPLE: usize = 200;

/// Asks all servers the same and panics where response codes or numbers of records differ.
///
/// Fewer records would be less work. Additional records are left out: which there are is open
/// (RFC 9715, section 4), and the OPT record is everywhere.
pub(crate) fn check(scene: &Scene, pools: &Pools) {
    let servers = scene.servers.iter().filter(|server| server.is_dns());
    let servers: Vec<_> = servers.collect();
    let Some((first, others)) = servers.split_first() else {
        return;
    };
    let mut kinds = vec![Queries::mix(&pools.plain, SAMPLE, 7)];
    if !pools.wild.is_empty() {
        kinds.push(Queries::mix(&pools.wild, SAMPLE, 7));
    }
    for mut queries in kinds {
        for number in 0..SAMPLE {
            let range = queries.prepare(number as u16);
            let query = &queries.octets()[range];
            let said = |server: SocketAddr, name: &str| {
                (0..10)
                    .find_map(|_| ask(server, query))
                    .map(|reply| [reply[3] & 0xf, reply[7], reply[9]])
                    .unwrap_or_else(|| panic!("{name} does not answer {}", query.escape_ascii()))
            };
            let ours = said(first.address, first.name);
            for other in others {
                let theirs = said(other.address, other.name);
                assert_eq!(
                    ours,
                    theirs,
                    "{} and {} answer {} otherwise: code, answers, authorities",
                    first.name,
                    other.name,
                    query.escape_ascii()
                );
            }
        }
    }
}

/// Returns whether a server has an SOA record for a zone, now.
pub(crate) fn serves(server: SocketAddr, zone: &str) -> bool {
    ask(server, &query(1, zone, SOA)).is_some_and(|reply| reply[3] & 0xf == 0 && reply[7] > 0)
}

/// Sends octets and returns what comes back with their id, if that comes soon.
pub(crate) fn ask(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = connected(server).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .ok()?;
    socket.send(query).ok()?;
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    (length >= 12 && reply[..2] == query[..2]).then_some(reply)
}
