// SPDX-License-Identifier: Apache-2.0
// EventSender: tells the daemon what happened to jobs, many events in a message. Apart from the
// client because the plugin has no use for it.
#pragma once

#include <chrono>
#include <cstdint>

#include "ipc/client.h"
#include "shared/result.h"

namespace auspex::ipc {

// Cuts texts and lists to what the protocol carries, as the plugin does for a submission.
void cut_to_wire(Submission& submission);

class EventSender {
 public:
  EventSender(Client& client, std::chrono::milliseconds timeout)
      : client_(client), timeout_(timeout) {}

  // Sends what there is when a message is full. Blocks for the daemon's answer, up to the timeout.
  // Errors: one line naming the socket and what went wrong.
  Status add(JobEvent event);
  // Sends what there is.
  Status flush();

  uint64_t sent() const { return sent_; }

 private:
  Client& client_;
  std::chrono::milliseconds timeout_;
  EventsRequest waiting_;
  size_t bytes_ = 0;  // at most, of waiting_ on the wire
  uint64_t sent_ = 0;
};

}  // namespace auspex::ipc
