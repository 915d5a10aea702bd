// SPDX-License-Identifier: Apache-2.0
// Memory of the host that a caller has taken so that the card reads and writes it where it lies.
// Threads: any number at once.
#pragma once

#include <cstddef>

#include "kernels/cuda/network_view.h"

namespace auspex::cuda {

// bytes: zeroes. Errors: as in runtime.h.
const char* take_room(size_t bytes, void** host);
void give_room(void* host);

// As the card sees `count` of them; nullptr: they lie in no room, or beyond one.
const Job* on_card(const Job* jobs, size_t count);
float* on_card(float* outputs, size_t count);

}  // namespace auspex::cuda
