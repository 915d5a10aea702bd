// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace auspex {

inline constexpr unsigned kMostReaderSeconds = 20;  // of computing

// Of this process, which reads a file that anybody may have written: 2 GiB of addresses, no core
// file, kMostReaderSeconds.
void limit_reader();

}  // namespace auspex
