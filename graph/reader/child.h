// SPDX-License-Identifier: Apache-2.0
// Child: a process of ours that touches a user's files. Only such a one does: what it waits for,
// and what a file makes of it, is nobody else's.
#pragma once

#include <sys/types.h>

#include <functional>

#include "shared/file.h"
#include "shared/result.h"

namespace auspex {

struct Child {
  pid_t pid = 0;
  FileDescriptor channel;  // SOCK_SEQPACKET
  FileDescriptor end;      // readable when it has ended
};

// body: what it does there with the other end of the channel, in that process alone, which ends
// with it and with us. Nothing else of ours is open in it but the standard streams.
// Errors: no process is to be had.
Result<Child> start_child(const std::function<void(int channel)>& body);

}  // namespace auspex
