//! `dryport see`.

use std::io::{self, Write};

use dryport_host::{Namespace, SocketReader, device_names, read_owners};
use dryport_model::{Coverage, Fact, Family, Owners, Socket};
use dryport_report::{By, Groups, NamespaceName, SeenSocket, json, text};

use crate::args::{GroupKey, SeeArgs};
use crate::failure::{Exit, Failure};
use crate::output::Output;
