// SPDX-License-Identifier: Apache-2.0
// The codec's part that carries a submission, in a decision's request and in an event.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ipc/wire_generated.h"
#include "shared/result.h"
#include "shared/submission.h"

namespace auspex::ipc {

flatbuffers::Offset<wire::Submission> put_submission(flatbuffers::FlatBufferBuilder& builder,
                                                     const Submission& submission);
Submission get_submission(const wire::Submission& in);

// Whether the seconds are from 1970 to kMaxTimeS.
bool is_time(int64_t time_s);

// To be asked before get_submission(). Adds what the texts come to: the same text may stand in many
// places of a message, so that a small one could unfold to gigabytes. Errors: a sum above
// kMaxMessageBytes, a list that is too long, a time that there is not.
Status add_text_bytes(const wire::Submission& in, size_t& sum);

}  // namespace auspex::ipc
