//! One connection without a network.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::time::interval;

use crate::server::connection::Connection;
use crate::server::slots::{Slot, Slots, Taking};
use crate::wire::Transport;

use super::*;

/// Returns the only place that there is, and where it comes from.
fn only_place() -> (Slot, Slots) {
    let limits = TcpLimits {
        connections: 1,
        per_source: 1,
        ..TcpLimits::default()
    };
    let slots = Slots::new(&limits, None);
    let Taking::Free(slot) = slots.take("192.0.2.1".parse().unwrap()) else {
        panic!("it is free");
    };
    (slot, slots)
}

/// Returns a connection over `stream`, and the places there are.
fn over<S>(stream: S, limits: TcpLimits) -> (Connection<S>, Slots) {
    let (slot, slots) = only_place();
    let connection = Connection {
        stream,
        peer: Ipv4Addr::LOCALHOST.into(),
        responder: responders().responder(Transport::Tcp),
        limits,
        slot,
    };
    (connection, slots)
}

/// Returns a connection and its client's end.
fn connection(limits: TcpLimits) -> (Connection<DuplexStream>, DuplexStream, Slots) {
    let (stream, client) = duplex(1_024);
    let (connection, slots) = over(stream, limits);
    (connection, client, slots)
}

/// A client that has sent everything at once, and notes how it is answered.
struct Recorder {
    /// What it has sent.
    sent: io::Cursor<Vec<u8>>,
    /// What was written to it, write by write.
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sent).poll_read(context, buffer)
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(octets.to_vec());
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn rfc7766_8_pipelined_queries_are_answered_in_one_write_lengths_included() {
    let queries: Vec<_> = (0..100).map(|id| query(id, b"of many")).collect();
    let writes = Arc::default();
    let client = Recorder {
        sent: io::Cursor::new(queries.iter().flat_map(|query| framed(query)).collect()),
        writes: Arc::clone(&writes),
    };
    let (connection, _slots) = over(client, TcpLimits::default());

    connection.serve().await.unwrap();

    let answers: Vec<u8> = queries
        .into_iter()
        .flat_map(|query| framed(&answer(query)))
        .collect();
    assert_eq!(*writes.lock().unwrap(), [answers]);
}

#[tokio::test]
async fn more_answers_than_are_gathered_at_a_time_all_come_in_order() {
    let (connection, mut client, _slots) = connection(TcpLimits::default());
    let serving = tokio::spawn(connection.serve());
    let last = query(7, b"last");
    let mut asked = framed(&LARGE).repeat(40);
    asked.extend(framed(&last));
    let (mut from_server, mut to_server) = tokio::io::split(client);

    let asking = tokio::spawn(async move {
        to_server.write_all(&asked).await.unwrap();
        to_server
    });
    for _ in 0..40 {
        assert_eq!(from_server.read_u16().await.unwrap(), u16::MAX);
        let mut reply = vec![0; 65_535];
        from_server.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..4], *b"\x12\x34\x81\0");
    }
    let wanted = framed(&answer(last));
    let mut reply = vec![0; wanted.len()];
    from_server.read_exact(&mut reply).await.unwrap();

    assert_eq!(reply, wanted);
    client = from_server.unsplit(asking.await.unwrap());
    drop(client);
    timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_message_of_the_greatest_length_is_read_whole() {
    let (connection, mut client, _slots) = connection(TcpLimits::default());
    let serving = tokio::spawn(connection.serve());
    let longest = query(7, &vec![5; 65_535 - 12]);

    client.write_all(&framed(&longest)).await.unwrap();
    let mut reply = vec![0; 65_537];
    client.read_exact(&mut reply).await.unwrap();

    assert_eq!(reply, framed(&answer(longest)));
    drop(client);
    timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn rfc7766_6_2_3_octets_alone_do_not_keep_a_connection_open() {
    let limits = TcpLimits {
        idle: Duration::from_millis(100),
        ..TcpLimits::default()
    };
    // Slower than the limit, and as fast as they go.
    for pause in [Duration::from_millis(10), Duration::from_nanos(1)] {
        let (connection, mut client, _slots) = connection(limits);
        // The longest message: whole it would be after ten minutes, or never.
        let trickle = tokio::spawn(async move {
            let mut ticks = interval(pause);
            client.write_all(&[0xff, 0xff]).await.unwrap();
            for _ in 0..60_000 {
                if client.write_all(&[0]).await.is_err() {
                    return;
                }
                ticks.tick().await;
            }
            let _ = client.read(&mut [0]).await;
        });

        let served = timeout(LONG, connection.serve()).await;

        assert!(served.is_ok(), "the connection was closed");
        timeout(LONG, trickle).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_gets_no_answer_does_not_keep_a_connection_open() {
    let limits = TcpLimits {
        idle: Duration::from_millis(100),
        ..TcpLimits::default()
    };
    let (connection, mut client, _slots) = connection(limits);
    let empty_messages = tokio::spawn(async move {
        while client.write_all(&[0; 64]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });

    let served = timeout(LONG, connection.serve()).await;

    assert!(served.is_ok(), "the connection was closed");
    timeout(LONG, empty_messages).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limits = TcpLimits {
        write: Duration::from_millis(100),
        ..TcpLimits::default()
    };
    let (connection, mut client, _slots) = connection(limits);
    let asking = tokio::spawn(async move {
        while client.write_all(&framed(&LARGE)).await.is_ok() {}
        client
    });

    let served = timeout(LONG, connection.serve()).await.unwrap();

    assert_eq!(served.unwrap_err().kind(), io::ErrorKind::TimedOut);
    timeout(LONG, asking).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_gives_way_when_its_place_is_needed() {
    let limits = TcpLimits {
        write: LONG * 10,
        ..TcpLimits::default()
    };
    let (connection, mut client, slots) = connection(limits);
    let serving = tokio::spawn(connection.serve());
    let asking =
        tokio::spawn(async move { while client.write_all(&framed(&LARGE)).await.is_ok() {} });
    tokio::task::yield_now().await;

    assert!(slots.give_way());

    let served = timeout(LONG, serving).await.unwrap().unwrap();
    assert!(served.is_err());
    timeout(LONG, asking).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_never_stops_asking_gives_way_too() {
    let (connection, mut client, slots) = connection(TcpLimits::default());
    let serving = tokio::spawn(connection.serve());
    let asking = tokio::spawn(async move {
        let asked = framed(&query(1, b""));
        let mut reply = vec![0; asked.len()];
        while client.write_all(&asked).await.is_ok() {
            if client.read_exact(&mut reply).await.is_err() {
                return;
            }
        }
    });
    tokio::task::yield_now().await;

    assert!(slots.give_way());

    timeout(LONG, serving).await.unwrap().unwrap().unwrap();
    timeout(LONG, asking).await.unwrap().unwrap();
}
