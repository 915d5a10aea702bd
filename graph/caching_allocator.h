// SPDX-License-Identifier: Apache-2.0
// How PyTorch takes memory from the card: in segments that it cuts into blocks and never gives
// back. Source: PyTorch's documentation of CUDA memory management and the sizes that its statistics
// show: blocks of 512 bytes; up to 1 MiB from segments of 2 MiB; below 10 MiB from segments of 20
// MiB; larger ones from segments of their own, rounded to 2 MiB.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace auspex {

class CachingAllocator {
 public:
  using Block = uint64_t;  // a name for it

  Block take(uint64_t bytes);  // at least one
  void give_back(Block block);

  uint64_t most_taken() const { return most_taken_; }
  uint64_t reserved() const { return reserved_; }

 private:
  struct Piece {
    uint64_t segment, start, size;
    bool small, free;
  };
  // Address order within segments; (segment, start) -> piece.
  using Pieces = std::map<std::pair<uint64_t, uint64_t>, Piece>;
  using Size = std::pair<uint64_t, std::pair<uint64_t, uint64_t>>;  // size, place

  std::set<Size>& free_of(const Piece& piece) { return free_[piece.small ? 0 : 1]; }
  Pieces::iterator piece_for(uint64_t size, bool small);
  void merge_with_next(Pieces::iterator piece);

  Pieces pieces_;
  std::set<Size> free_[2];
  std::map<Block, Pieces::iterator> taken_;
  uint64_t segments_ = 0, blocks_ = 0, reserved_ = 0, in_use_ = 0, most_taken_ = 0;
};

}  // namespace auspex
