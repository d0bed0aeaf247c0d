//! What the gate remembers of open doors.

use std::time::Duration;

use sknock_gate::{Bucket, Element, Holder, Live, Opening, Serial, Uptime, Wish};

use crate::{ceiling, tcp, udp, wish};

const ALICE: &str = "192.0.2.7";

fn at(seconds: u64) -> Uptime {
    Uptime::from_millis(seconds * 1000)
}

fn holder(serial: u8) -> Holder {
    Holder { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
}

/// TCP 1000 for this holder and so many seconds.
fn opening(serial: u8, seconds: u32) -> Opening {
    let mut wish = Wish { seconds, ..wish(&[ALICE], &[tcp(1000, 1000)]) };
    wish.label.holder = holder(serial);
    ceiling().check(&wish, &Live::default(), &mut Bucket::default(), at(0)).unwrap()
}

fn left(elements: &[Element]) -> Vec<(Holder, u64)> {
    elements.iter().map(|element| (element.label.holder, element.remaining.as_secs())).collect()
}

#[test]
fn a_door_ends_when_its_time_is_over_and_not_before() {
    let mut live = Live::default();
    live.record(&opening(1, 30), at(100));
    live.expire(Uptime::from_millis(129_999));
    assert_eq!(live.len(), 1);
    assert_eq!(left(&live.elements(at(129))), [(holder(1), 1)]);
    assert_eq!(live.elements(at(130)), []);
    live.expire(at(130));
    assert!(live.is_empty());
}

#[test]
fn a_shorter_wish_plans_what_is_open_already() {
    let mut live = Live::default();
    live.record(&opening(1, 60), at(0));
    assert_eq!(left(&live.plan(&opening(1, 10), at(20))), [(holder(1), 40)]);
    live.record(&opening(1, 10), at(20));
    assert_eq!(left(&live.elements(at(20))), [(holder(1), 40)]);
    assert_eq!(left(&live.plan(&opening(1, 50), at(20))), [(holder(1), 50)]);
}

#[test]
fn a_renewed_door_is_not_ended_by_its_first_deadline() {
    let mut live = Live::default();
    live.record(&opening(1, 10), at(0));
    live.record(&opening(1, 60), at(5));
    live.expire(at(11));
    assert_eq!(left(&live.elements(at(11))), [(holder(1), 54)]);
    live.expire(at(65));
    assert!(live.is_empty());
}

#[test]
fn a_door_with_two_holders_is_one_element_as_long_as_the_longer() {
    let mut live = Live::default();
    live.record(&opening(1, 20), at(0));
    live.record(&opening(2, 60), at(0));
    assert_eq!(live.len(), 2);
    assert_eq!(left(&live.elements(at(10))), [(holder(2), 50)]);
    let (stay, close) = live.plan_close(&holder(2), at(10));
    assert_eq!((left(&stay), close), (vec![(holder(1), 10)], vec![]));
    assert_eq!(live.forget(&holder(2)), 1);
    let (stay, close) = live.plan_close(&holder(1), at(10));
    assert_eq!((stay.len(), close.len()), (0, 1));
}

#[test]
fn what_an_earlier_run_left_is_held_to_the_ceiling() {
    let mut earlier = Live::default();
    let mut wide = ceiling();
    wide.services = vec![tcp(1, 65535), udp(1, 65535)];
    wide.longest = Duration::from_secs(1000);
    let wish = Wish { seconds: 500, ..wish(&[ALICE], &[tcp(998, 1001), udp(52, 53)]) };
    let opening = wide.check(&wish, &Live::default(), &mut Bucket::default(), at(0)).unwrap();
    earlier.record(&opening, at(0));

    let mut live = Live::default();
    let open = earlier.elements(at(0)).iter().map(|element| element.door).collect();
    assert_eq!(live.adopt(&earlier, &open, &ceiling(), at(0)).len(), 3);
    assert_eq!(left(&live.elements(at(0))), [(wish.label.holder, 60); 3]);

    let mut few = ceiling();
    few.live = 2;
    let mut live = Live::default();
    assert_eq!(live.adopt(&earlier, &open, &few, at(0)).len(), 4);
    assert_eq!(live.len(), 2);
    let mut live = Live::default();
    let one = open.first().copied().into_iter().filter(|door| door.port == 999).collect();
    assert_eq!(live.adopt(&earlier, &one, &ceiling(), at(0)).len(), 6 - one.len());
    assert_eq!(live.len(), one.len());
}

#[test]
fn single_use_that_the_kernel_lost_is_forgotten() {
    let mut live = Live::default();
    live.record(&opening(1, 60), at(0));
    let once = Wish { single_use: true, ..wish(&[ALICE], &[tcp(1000, 1000), tcp(1001, 1001)]) };
    let once = ceiling().check(&once, &Live::default(), &mut Bucket::default(), at(0)).unwrap();
    live.record(&once, at(0));
    let seen: Vec<Element> =
        live.elements(at(0)).into_iter().filter(|element| element.door.port == 1001).collect();
    assert_eq!(live.narrow(&seen, &ceiling(), at(0)).len(), 1);
    let doors: Vec<(u16, bool)> =
        live.elements(at(0)).iter().map(|e| (e.door.port, e.door.single_use)).collect();
    assert_eq!(doors, [(1000, false), (1001, true)]);
}
