//! Finds the HTTP/2 frames in a client's bytes by which it closes a connection or cancels a call.
//!
//! HTTP/2 libraries tell a server that a stream has ended, and not why. Two kinds of frames tell: `GOAWAY` before a
//! connection is closed, and `RST_STREAM` when a call is cancelled. A process that dies sends neither. So the nine bytes
//! that begin each frame are read on their way in, and the frame's body is skipped by its length.

/// What a client's HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// Where in the bytes of a connection the reader is.
#[derive(Debug)]
pub(super) enum Frames {
    /// That many bytes of the preface have come.
    Preface(usize),
    /// In a frame's header, of which that many bytes have come.
    Header([u8; HEADER], usize),
    /// That many bytes of a frame's body are still to come.
    Body(usize),
    /// The client does not speak HTTP/2.
    Other,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Preface(0)
    }
}

/// Which of the two kinds of frames began in some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) goaway: bool,
    pub(super) reset: bool,
}

impl Frames {
    /// Reads the next bytes of the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Closing {
        let mut found = Closing::default();
        while !bytes.is_empty() {
            match self {
                Self::Other => break,
                Self::Preface(have) => {
                    let wanted = &PREFACE[*have..];
                    let some = wanted.len().min(bytes.len());
                    if bytes[..some] != wanted[..some] {
                        *self = Self::Other;
                        break;
                    }
                    *have += some;
                    if *have == PREFACE.len() {
                        *self = Self::Header([0; HEADER], 0);
                    }
                    bytes = &bytes[some..];
                }
                Self::Header(header, have) => {
                    let some = (HEADER - *have).min(bytes.len());
                    header[*have..*have + some].copy_from_slice(&bytes[..some]);
                    *have += some;
                    bytes = &bytes[some..];
                    if *have == HEADER {
                        let [a, b, c, kind, ..] = *header;
                        found.goaway |= kind == GOAWAY;
                        found.reset |= kind == RST_STREAM;
                        let body = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                        *self = if body == 0 { Self::Header([0; HEADER], 0) } else { Self::Body(body) };
                    }
                }
                Self::Body(left) => {
                    let some = (*left).min(bytes.len());
                    *left -= some;
                    bytes = &bytes[some..];
                    if *left == 0 {
                        *self = Self::Header([0; HEADER], 0);
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: usize) -> Vec<u8> {
        let mut frame = vec![0; HEADER + body];
        frame[1] = u8::try_from(body >> 8).unwrap();
        frame[2] = u8::try_from(body & 0xff).unwrap();
        frame[3] = kind;
        frame
    }

    #[test]
    fn goaway_and_reset_are_found_wherever_the_bytes_are_cut() {
        let all =
            [PREFACE.to_vec(), frame(4, 0), frame(0, 300), frame(RST_STREAM, 4), frame(GOAWAY, 8)].concat();
        for cut in 0..all.len() {
            let mut frames = Frames::default();
            let (one, other) = (frames.read(&all[..cut]), frames.read(&all[cut..]));
            assert!(one.goaway ^ other.goaway, "cut at {cut}");
            assert!(one.reset ^ other.reset, "cut at {cut}");
        }
    }

    #[test]
    fn neither_data_nor_another_protocol_closes_anything() {
        let mut frames = Frames::default();
        // A body whose bytes would be the header of GOAWAY.
        let mut all = [PREFACE.to_vec(), frame(0, HEADER)].concat();
        let body = all.len() - HEADER;
        all[body..].copy_from_slice(&frame(GOAWAY, 0));
        assert_eq!(frames.read(&all), Closing::default());
        let text =
            b"GET / HTTP/1.1\r\n\r\n\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07";
        assert_eq!(Frames::default().read(text), Closing::default());
    }
}
