// SPDX-License-Identifier: Apache-2.0
// The codec's part that carries what the guard reports and the daemon passes on.
#pragma once

#include "ipc/codec.h"
#include "ipc/wire_generated.h"

namespace auspex::ipc {

flatbuffers::Offset<wire::GuardReport> put_guard_report(flatbuffers::FlatBufferBuilder& builder,
                                                        const GuardReport& report);
// Errors: a list or name that is longer than the protocol has, a time that there is not.
Result<GuardReport> get_guard_report(const wire::GuardReport& in);

flatbuffers::Offset<wire::SiteReply> put_site_reply(flatbuffers::FlatBufferBuilder& builder,
                                                    const SiteReply& reply);
Result<SiteReply> get_site_reply(const wire::SiteReply& in);

}  // namespace auspex::ipc
