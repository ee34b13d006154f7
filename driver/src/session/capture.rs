//! One attempt at one burst, as a sequential state machine: arm, start, frames, done.
//!
//! It only moves forward; any error leaves it at once, and the caller runs the clean-up.

use super::link::{Link, unexpected};
use super::{CancelToken, ReaderError};
use crate::burst::{BurstPlan, Frame};
use crate::clock::Deadline;
use crate::protocol::{Command, ImageFrame, ProtocolError, Reply, Ticket};

enum State {
    Arm,
    Start,
    Frames,
    Done,
}

pub(super) fn run(
    link: &mut Link,
    plan: &BurstPlan,
    ticket: Ticket,
    deadline: Deadline,
    cancel: &CancelToken,
) -> Result<Vec<Frame>, ReaderError> {
    let nonce = ticket.nonce;
    let mut frames = Vec::with_capacity(plan.shots().len());
    let mut state = State::Arm;
    loop {
        state = match state {
            State::Arm => {
                let command = Command::Arm {
                    ticket,
                    plan: plan.clone(),
                };
                match link.ask(&command, deadline, cancel)? {
                    Reply::Ack => State::Start,
                    other => return Err(unexpected("ACK", &other)),
                }
            }
            State::Start => {
                link.send(&Command::Capture { nonce }, deadline)?;
                State::Frames
            }
            State::Frames => {
                match link.reply(deadline, cancel)? {
                    Reply::Frame(image) => {
                        frames.push(expected_frame(plan, ticket, &frames, image)?)
                    }
                    other => return Err(unexpected("FRAME", &other)),
                }
                if frames.len() < plan.shots().len() {
                    State::Frames
                } else {
                    State::Done
                }
            }
            State::Done => {
                return match link.reply(deadline, cancel)? {
                    Reply::CaptureDone { nonce: done, .. } if done != nonce => {
                        Err(ProtocolError::WrongNonce.into())
                    }
                    Reply::CaptureDone { frames: sent, .. }
                        if usize::from(sent) != frames.len() =>
                    {
                        Err(ProtocolError::WrongShot { index: sent }.into())
                    }
                    Reply::CaptureDone { .. } => Ok(frames),
                    other => Err(unexpected("CAPTURE_DONE", &other)),
                };
            }
        }
    }
}

/// The frame, if it is of this capture and answers the shot that is due.
fn expected_frame(
    plan: &BurstPlan,
    ticket: Ticket,
    before: &[Frame],
    image: ImageFrame,
) -> Result<Frame, ProtocolError> {
    let ImageFrame {
        index,
        ticket: carried,
        frame,
    } = image;
    if carried.nonce != ticket.nonce {
        return Err(ProtocolError::WrongNonce);
    }
    if carried.purpose != ticket.purpose {
        return Err(ProtocolError::WrongPurpose);
    }
    let due = plan.shots().get(before.len());
    if usize::from(index) != before.len() || due != Some(&frame.shot()) {
        return Err(ProtocolError::WrongShot { index });
    }
    Ok(frame)
}
