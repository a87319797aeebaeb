//! Many connections at a time, from one source and from many.

use std::net::Ipv4Addr;

use socket2::{Domain, Socket, Type};

use super::*;

/// Connects from an address of loopback's own choice.
pub(super) fn connect_from(source: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.into()
}

/// Asks something and asserts that it is answered.
#[track_caller]
fn assert_answers(client: &mut TcpStream) {
    let query = query(3, b"still there?");
    client.write_all(&framed(&query)).unwrap();
    assert_eq!(read_message(client), answer(query));
}

/// Returns whether the server has closed a connection, by an end or by a reset.
fn is_closed(client: &mut TcpStream) -> bool {
    !matches!(client.read(&mut [0]), Ok(1..))
}

#[tokio::test]
async fn rfc9210_4_5_one_source_has_its_share_and_others_go_on() {
    let responders = responders();
    let mut config = config("127.0.0.1");
    config.tcp.per_source = 2;
    config.tcp.idle = NEVER;
    let running = start(&config, &responders).unwrap();
    let server = running.addresses()[0];

    tokio::task::spawn_blocking(move || {
        let mut clients = [tcp_client(server), tcp_client(server)];
        let mut third = tcp_client(server);

        assert!(is_closed(&mut third));
        clients.iter_mut().for_each(assert_answers);
        assert_answers(&mut connect_from(Ipv4Addr::new(127, 0, 1, 1), server));
        let text = responders.metrics.render();
        assert!(text.contains("{reason=\"overload\"} 1"), "{text}");
    })
    .await
    .unwrap();
    timeout(LONG, running.stop()).await.unwrap();
}

#[tokio::test]
async fn rfc7766_6_2_3_the_longest_idle_connection_gives_way_to_a_newcomer() {
    let responders = responders();
    let mut config = config("127.0.0.1");
    config.tcp.connections = 4;
    let running = start(&config, &responders).unwrap();
    let server = running.addresses()[0];

    tokio::task::spawn_blocking(move || {
        let mut clients: Vec<_> = (0..4)
            .map(|net| connect_from(Ipv4Addr::new(127, 0, net, 1), server))
            .collect();
        clients.iter_mut().for_each(assert_answers);

        let mut newcomer = connect_from(Ipv4Addr::new(127, 1, 1, 1), server);
        assert_answers(&mut newcomer);

        assert!(is_closed(&mut clients[0]), "it was the first of all");
        clients[1..].iter_mut().for_each(assert_answers);
        let text = responders.metrics.render();
        assert!(text.contains("{reason=\"evicted\"} 1"), "{text}");
    })
    .await
    .unwrap();
    timeout(LONG, running.stop()).await.unwrap();
}

#[tokio::test]
async fn thousands_of_silent_connections_keep_nobody_out() {
    let responders = responders();
    let running = start(&config("127.0.0.1"), &responders).unwrap();
    let server = running.addresses()[0];

    tokio::task::spawn_blocking(move || {
        let mut at_work = connect_from(Ipv4Addr::new(127, 200, 0, 1), server);
        assert_answers(&mut at_work);
        let mut crowd = Vec::new();
        for number in 0..2_000 {
            let [high, low] = u16::to_be_bytes(number / 20);
            let source = Ipv4Addr::new(127, 100 + high, low, 1);
            crowd.push(connect_from(source, server));
            if number % 100 == 0 {
                assert_answers(&mut at_work);
                assert_answers(&mut connect_from(Ipv4Addr::new(127, 201, low, 1), server));
            }
        }
        assert_answers(&mut at_work);
    })
    .await
    .unwrap();
    timeout(LONG, running.stop()).await.unwrap();
}
