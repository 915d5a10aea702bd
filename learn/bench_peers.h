// SPDX-License-Identifier: Apache-2.0
// Others' libraries, as auspex bench measures them: auspex bench-peers reads requests of
// cli/bench_peers.cc and answers them, a line of JSON each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

// Of one-hot rows and six numbers, as the paper's network takes them.
struct BenchNet {
  std::vector<uint32_t> hidden;
  uint32_t rows = 0;
  bool operator==(const BenchNet&) const = default;
};

// What a peer calls its own: keys of a row.
struct PeerLabel {
  std::string technique, backend, precision, input;
};

class BenchPeer {
 public:
  virtual ~BenchPeer() = default;
  virtual PeerLabel label() const = 0;
  // Random weights. Errors: why there is none.
  virtual Status build(const BenchNet& net) = 0;
  // The next inputs, outside of the time. Errors: more than it can take.
  virtual Status choose(uint32_t batch) = 0;
  virtual void call() = 0;
};
using BenchPeers = std::vector<std::unique_ptr<BenchPeer>>;

// Jobs to choose from: rows, then numbers, job by job.
inline constexpr uint32_t kPeerJobs = 16'384;
struct PeerInputs {
  std::vector<int64_t> rows;   // Shape: [kPeerJobs][kCategoryCount]
  std::vector<float> numbers;  // Shape: [kPeerJobs][kNumberCount]
};
// Each category has its equal part of the net's rows.
PeerInputs peer_inputs(uint32_t rows);

// One thread each.
BenchPeers torch_peers();
// path: the library; empty: the system's. Errors: there is none, or it is none.
Result<BenchPeers> onnx_peers(const std::string& path);

}  // namespace auspex
