//! The engine as its callers and the resolvers of the world see it, in simulated time.

mod changes;
mod clocks;
mod crashes;
mod downtime;
mod failures;
mod hand_outs;
mod house;
mod life;
mod many;
mod moments;
mod own_zones;
mod restart;
mod rotate;
mod scheduled;
mod staging;
mod time;
