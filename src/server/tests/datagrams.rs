//! Datagrams in bursts, floods and batches.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu};
use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::server::ServerError;
use crate::server::responder::Responders;
use crate::server::running::{probe, start};
use crate::server::socket;
use crate::server::udp::UdpWorker;
use crate::zone::{Asker, Foreseen, Transport, Verdict, ZoneView, zone_set};

use super::{
    LONG, PANIC, answer, ask_udp, config, query, responders, server, stand_in, udp_client,
};

/// Returns a socket of a worker that is not running yet, and a client of it.
fn waiting_worker() -> (socket2::Socket, UdpSocket) {
    let socket = socket::udp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, udp_client(address))
}

#[test]
fn a_panic_in_a_batch_costs_one_answer_of_it() {
    let (socket, client) = waiting_worker();
    // They wait, so the worker takes them in one batch, and the others in a second.
    let queries: Vec<_> = (0..100).map(|id| query(id, b"beside a panic")).collect();
    for (number, query) in queries.iter().enumerate() {
        let query = if number % 30 == 29 {
            &PANIC
        } else {
            &query[..]
        };
        client.send(query).unwrap();
    }
    let responders = responders();

    let worker = UdpWorker::start(socket, responders.responder(Transport::Udp), None).unwrap();

    for (number, query) in queries.into_iter().enumerate() {
        let mut reply = vec![0; 65_535];
        let length = client.recv(&mut reply).unwrap();
        if number % 30 == 29 {
            assert_eq!(reply[..length], *b"\x12\x34\x81\x02\0\0\0\0\0\0\0\0");
        } else {
            assert_eq!(reply[..length], answer(query));
        }
    }
    worker.stop();
    worker.join();
    let text = responders.metrics.render();
    for line in [
        "mxpool_dns_handler_panics_total 3",
        "mxpool_dns_request_duration_seconds_count{transport=\"udp\"} 100",
        "mxpool_dns_responses_total{transport=\"udp\",rcode=\"servfail\"} 3",
        "mxpool_dns_responses_total{transport=\"udp\",rcode=\"noerror\"} 97",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn datagrams_that_the_kernel_had_no_room_for_are_counted() {
    let (socket, client) = waiting_worker();
    socket.set_recv_buffer_size(1).unwrap();
    for id in 0..200 {
        client.send(&query(id, &[0; 500])).unwrap();
    }
    let responders = responders();

    let worker = UdpWorker::start(socket, responders.responder(Transport::Udp), None).unwrap();

    client.recv(&mut [0; 1000]).unwrap();
    worker.stop();
    worker.join();
    let text = responders.metrics.render();
    let value = |metric: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(metric));
        line.unwrap().trim().parse::<u32>().unwrap()
    };
    let dropped = value("mxpool_dns_dropped_total{reason=\"receive_buffer\"}");
    let answered = value("mxpool_dns_responses_total{transport=\"udp\",rcode=\"noerror\"}");
    assert!(dropped > 0);
    assert_eq!(dropped + answered, 200);
}

#[tokio::test]
async fn both_families_are_answered_by_many_workers_at_once() {
    let mut families = vec!["127.0.0.1"];
    match UdpSocket::bind("[::1]:0") {
        Ok(_) => families.push("::1"),
        Err(_) => println!("IPv6 skipped: this machine has none"),
    }
    for family in families {
        let responders = responders();
        let running = start(&config(family), &responders).unwrap();
        let server = running.addresses()[0];
        let ask = move || {
            let clients: Vec<_> = (0..20).map(|_| udp_client(server)).collect();
            for id in 0..100 {
                for client in &clients {
                    client.send(&query(id, b"one of many")).unwrap();
                }
            }
            for client in &clients {
                for id in 0..100 {
                    let mut reply = [0; 100];
                    let length = client.recv(&mut reply).unwrap();
                    assert_eq!(reply[..length], answer(query(id, b"one of many")));
                }
            }
        };
        tokio::task::spawn_blocking(ask).await.unwrap();
        timeout(LONG, running.stop()).await.unwrap();

        let text = responders.metrics.render();
        let count = "mxpool_dns_request_duration_seconds_count{transport=\"udp\"} 2000";
        assert!(text.lines().any(|line| line == count), "{text}");
    }
}

#[tokio::test]
async fn a_flood_does_not_keep_the_server_from_stopping() {
    let (running, server, _) = server("127.0.0.1");
    let flooding = Arc::new(AtomicBool::new(true));
    let goes_on = flooding.clone();
    let (begun, has_begun) = oneshot::channel();
    let flood = thread::spawn(move || {
        let client = udp_client(server);
        ask_udp(&client, &query(0, b"the first"));
        begun.send(()).unwrap();
        while goes_on.load(Ordering::Relaxed) {
            // Refused once the server is gone.
            let _ = client.send(&query(1, b"and many more"));
        }
    });
    has_begun.await.unwrap();

    timeout(LONG, running.stop()).await.unwrap();

    flooding.store(false, Ordering::Relaxed);
    flood.join().unwrap();
}

/// Answers with the number of the core that it runs on.
fn tell_core(
    _: &ZoneView,
    query: &[u8],
    foreseen: Option<&Foreseen>,
    asker: &Asker<'_>,
    now: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    let verdict = stand_in(&zone_set().1.view(), query, foreseen, asker, now, reply);
    let core = sched_getcpu().unwrap();
    reply.extend_from_slice(&core.to_be_bytes());
    verdict
}

#[test]
fn a_worker_stays_on_the_core_that_was_chosen_for_it() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap());
    for core in cores {
        let (socket, client) = waiting_worker();
        let responders = Responders {
            answer: tell_core,
            ..responders()
        };
        let responder = responders.responder(Transport::Udp);
        let worker = UdpWorker::start(socket, responder, Some(core)).unwrap();

        for id in 0..20 {
            let reply = ask_udp(&client, &query(id, b""));
            assert_eq!(reply[12..], core.to_be_bytes());
        }
        worker.stop();
        worker.join();
    }
}

#[tokio::test]
async fn a_core_that_is_not_there_is_told_before_anything_is_had() {
    let mut config = config("127.0.0.1");
    config.cores = vec![1023];

    let error = start(&config, &responders()).err().unwrap();

    assert!(matches!(error, ServerError::Core(_)), "{error}");
    assert!(matches!(probe(&config), Err(ServerError::Core(_))));
}
