//! Which operating system a capture or a message comes from, and what it starts with.
//!
//! The platform is a value: a Windows capture is judged on Linux.

use crate::PortRange;

/// An operating system, as far as its rules for local ports differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// Linux 4.2 and later.
    Linux,
    /// Windows Vista, Server 2008 and later.
    Windows,
    /// Windows Server 2003 (and 2000).
    Windows2003,
    /// Windows XP.
    WindowsXp,
    /// macOS.
    MacOs,
    /// FreeBSD.
    FreeBsd,
}

/// Who may share a local port with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// An automatic port serves every destination again; only the 4-tuple must be unique (Linux).
    ByTuple,
    /// One automatic port for each protocol and family, whatever the destination (Windows without
    /// an auto-reuse range).
    Never,
    /// One for each local address, whatever the destination (macOS).
    BySource,
    /// By tuple since FreeBSD 13, by source before: a capture does not tell.
    BySourceOrTuple,
}

impl Platform {
    /// Every platform, in the order of the manual.
    pub const ALL: [Self; 6] = [
        Self::Linux,
        Self::Windows,
        Self::Windows2003,
        Self::WindowsXp,
        Self::MacOs,
        Self::FreeBsd,
    ];

    /// The word on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Windows2003 => "windows-2003",
            Self::WindowsXp => "windows-xp",
            Self::MacOs => "macos",
            Self::FreeBsd => "freebsd",
        }
    }

    /// The name as people write it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows (Vista/2008 and later)",
            Self::Windows2003 => "Windows Server 2003",
            Self::WindowsXp => "Windows XP",
            Self::MacOs => "macOS",
            Self::FreeBsd => "FreeBSD",
        }
    }

    /// The range for automatic ports that it starts with. Windows before Vista: 1025–5000, of which
    /// `MaxUserPort` is the upper end.
    #[must_use]
    pub const fn default_range(self) -> PortRange {
        match self {
            Self::Linux => PortRange::LINUX_DEFAULT,
            Self::Windows | Self::MacOs => PortRange::IANA_DYNAMIC,
            Self::Windows2003 | Self::WindowsXp => PortRange::WINDOWS_2003_DEFAULT,
            Self::FreeBsd => PortRange::FREEBSD_DEFAULT,
        }
    }

    /// Seconds in TIME_WAIT that it starts with. Linux: fixed at compile time. Windows Vista and
    /// later: 120 by most of the vendor's pages (30 to 240 are told as well). Windows 2003: 240 by
    /// the classic guidance (a vendor page says 120). macOS: twice `net.inet.tcp.msl` of 15 s;
    /// FreeBSD: of 30 s.
    #[must_use]
    pub const fn default_time_wait_seconds(self) -> u32 {
        match self {
            Self::Linux | Self::FreeBsd => 60,
            Self::Windows => 120,
            Self::Windows2003 | Self::WindowsXp => 240,
            Self::MacOs => 30,
        }
    }

    /// Who may share a local port with whom.
    #[must_use]
    pub const fn sharing(self) -> Sharing {
        match self {
            Self::Linux => Sharing::ByTuple,
            Self::Windows | Self::Windows2003 | Self::WindowsXp => Sharing::Never,
            Self::MacOs => Sharing::BySource,
            Self::FreeBsd => Sharing::BySourceOrTuple,
        }
    }

    /// Any Windows.
    #[must_use]
    pub const fn is_windows(self) -> bool {
        matches!(self, Self::Windows | Self::Windows2003 | Self::WindowsXp)
    }

    /// A Windows whose range is set by `MaxUserPort`.
    #[must_use]
    pub const fn is_old_windows(self) -> bool {
        matches!(self, Self::Windows2003 | Self::WindowsXp)
    }
}
