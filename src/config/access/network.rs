//! Addresses that belong together.
//!
//! Owns: how a network is written, and which addresses are in it. Does not know what is done with them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One address, or all that begin with the same bits: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
///
/// IPv4 addresses inside IPv6 ones (`::ffff:10.0.0.1`) are IPv4 addresses, so `::/0` is every IPv6 address and no
/// IPv4 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    /// Bits that all addresses have in common.
    prefix_bits: u8,
}

/// A network that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Neither an address nor one with a length.
    #[error("{0:?} is no address or network, for example 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32")]
    Syntax(String),
    /// Bits are set that are not part of the network: a slip in the address or in the length.
    #[error("{typed:?} has bits behind its length; the network of that address is {network}")]
    StrayBits {
        /// What was typed.
        typed: String,
        /// What was meant, if the length is right.
        network: Network,
    },
}

impl Network {
    /// Whether `address` belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v4(self.prefix_bits) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v6(self.prefix_bits) == 0
            }
            _ => false,
        }
    }

    /// The network of `address`; `None` where it has fewer bits than that.
    fn of(address: IpAddr, prefix_bits: u8) -> Option<Network> {
        let (address, prefix_bits) = match (address, address.to_canonical()) {
            // The first 96 bits only say that an IPv4 address follows.
            (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if prefix_bits >= 96 => (mapped, prefix_bits - 96),
            (address, _) => (address, prefix_bits),
        };
        let (first, most_bits) = match address {
            IpAddr::V4(v4) => (Ipv4Addr::from_bits(v4.to_bits() & mask_v4(prefix_bits)).into(), 32),
            IpAddr::V6(v6) => (Ipv6Addr::from_bits(v6.to_bits() & mask_v6(prefix_bits)).into(), 128),
        };
        (prefix_bits <= most_bits).then_some(Network { first, prefix_bits })
    }

    fn is_one_address(&self) -> bool {
        self.prefix_bits == if self.first.is_ipv4() { 32 } else { 128 }
    }
}

fn mask_v4(prefix_bits: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix_bits.into())).unwrap_or(0)
}

fn mask_v6(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix_bits.into())).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(typed: &str) -> Result<Self, NetworkError> {
        let syntax = || NetworkError::Syntax(typed.to_owned());
        let (address, bits) = match typed.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (typed, None),
        };
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| syntax())?,
            Some(_) => return Err(syntax()),
            None => all_bits,
        };
        let network = Network::of(address, bits).ok_or_else(syntax)?;
        if network.first != address.to_canonical() && network.first != address {
            return Err(NetworkError::StrayBits { typed: typed.to_owned(), network });
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_one_address() {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.prefix_bits),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(typed: String) -> Result<Self, NetworkError> {
        typed.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn networks_hold_the_addresses_that_begin_like_them() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            ("127.0.0.1", &["127.0.0.1", "::ffff:127.0.0.1"], &["127.0.0.2", "::1"]),
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["9.255.255.255", "11.0.0.0"]),
            ("192.168.1.128/25", &["192.168.1.128", "192.168.1.255"], &["192.168.1.127"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::1", "2001:db8::1"]),
            ("::/0", &["::", "::1", "ffff::"], &["1.2.3.4", "::ffff:1.2.3.4"]),
            ("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db9::", "32.1.13.184"]),
            ("2001:db8::/33", &["2001:db8:7fff::"], &["2001:db8:8000::"]),
            ("::1", &["::1"], &["::2", "127.0.0.1"]),
            ("::ffff:10.0.0.0/104", &["10.9.9.9", "::ffff:10.0.0.1"], &["11.0.0.0"]),
        ];
        for (text, inside, outside) in cases {
            let network = network(text);
            for address in inside {
                assert!(network.contains(address.parse().unwrap()), "{text} {address}");
            }
            for address in outside {
                assert!(!network.contains(address.parse().unwrap()), "{text} {address}");
            }
        }
    }

    #[test]
    fn networks_are_written_in_one_way() {
        let cases = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("2001:0DB8::/32", "2001:db8::/32"),
            ("::1/128", "::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ];
        for (typed, written) in cases {
            assert_eq!(network(typed).to_string(), written);
            assert_eq!(network(written), network(typed));
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for typed in ["", "localhost", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/8/8"]
        {
            let told = typed.parse::<Network>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("{typed:?} is no address or network")), "{told}");
        }
        for (typed, meant) in [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/64", "2001:db8::/64")] {
            let told = typed.parse::<Network>().unwrap_err().to_string();
            assert!(told.ends_with(&format!("the network of that address is {meant}")), "{told}");
        }
    }
}
