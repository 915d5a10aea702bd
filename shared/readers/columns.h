// SPDX-License-Identifier: Apache-2.0
// Columns: which column of a table holds what, found by the names in its header row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace auspex {

// What tables say about a job, whatever they call it.
enum class Field : uint8_t {
  kId,
  kUser,
  kGroup,
  kAccount,
  kPartition,
  kQos,
  kName,
  kSubmit,
  kStart,
  kEnd,
  kRuntime,   // seconds, or [D-]HH:MM:SS
  kLimitMin,  // minutes, or one of sbatch's notations
  kLimitS,    // seconds
  kState,
  kCpus,
  kNodes,
  kMemory,        // of the whole job, in Slurm's notation, or per CPU or node with a "c" or "n"
  kMemoryPerCpu,  // MiB
  kTres,
  kGpus,
  kReservation,
  kWorkDir,
  kSubmitLine,
  kConstraints,
  kCount,
};
inline constexpr size_t kFieldCount = static_cast<size_t>(Field::kCount);

struct ColumnName {
  std::string_view name;
  Field field;
};

// One row: the text of each field, empty where the table has no such column.
class RowFields {
 public:
  std::string_view operator[](Field field) const { return text_[static_cast<size_t>(field)]; }
  std::string_view& operator[](Field field) { return text_[static_cast<size_t>(field)]; }

 private:
  std::array<std::string_view, kFieldCount> text_{};
};

class Columns {
 public:
  // names: what each column may be called; of two that mean the same field the earlier counts.
  // Errors: names what is missing for a job history, and the columns that are there.
  static Result<Columns> bind(std::span<const std::string_view> header,
                              std::span<const ColumnName> names);

  size_t count() const { return count_; }

  // cells: count() of them.
  RowFields fields(std::span<const std::string_view> cells) const;

  // Whether the table's last column holds this field.
  bool is_last(Field field) const { return position_[static_cast<size_t>(field)] + 1 == count_; }

 private:
  static constexpr size_t kAbsent = SIZE_MAX;

  size_t count_ = 0;
  std::array<size_t, kFieldCount> position_{};
};

}  // namespace auspex
