// The host side for Python: how this build was made, what the processor can do, maps of QPs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "simd/isa.h"

namespace py = pybind11;

namespace {

// The first cell whose centre is at or beyond a pixel, at most `count`.
int64_t first_cell(int64_t pixel, int64_t cell, int64_t count) {
  const int64_t distance = pixel - cell / 2;
  return distance <= 0 ? 0 : std::min((distance - 1) / cell + 1, count);
}

int16_t to_16_bits(int64_t value) {
  using Limits = std::numeric_limits<int16_t>;
  return static_cast<int16_t>(std::clamp<int64_t>(value, Limits::min(), Limits::max()));
}

py::array_t<int16_t> paint_qp(const py::array_t<int32_t, py::array::c_style>& blocks, int32_t base,
                              int64_t height, int64_t width, int32_t cell) {
  if (blocks.ndim() != 2 || blocks.shape(1) != 5) {
    throw py::value_error("blocks must have the shape (N, 5)");
  }
  if (height < 0 || width < 0 || cell < 1) {
    throw py::value_error("height and width must be at least 0, cell at least 1");
  }
  py::array_t<int16_t> grid({height, width});
  int16_t* const cells = grid.mutable_data();
  const int32_t* const values = blocks.data();
  const int64_t count = blocks.shape(0);
  const py::gil_scoped_release release;
  std::fill_n(cells, height * width, to_16_bits(base));
  for (int64_t i = 0; i < count; ++i) {
    const int32_t* const block = values + 5 * i;
    const int64_t x = block[0], y = block[1], delta = block[4];
    const int64_t left = first_cell(x, cell, width);
    const int64_t right = first_cell(x + block[2], cell, width);
    const int64_t top = first_cell(y, cell, height);
    const int64_t bottom = first_cell(y + block[3], cell, height);
    const int16_t value = to_16_bits(base + delta);
    for (int64_t row = top; row < bottom && left < right; ++row) {
      std::fill(cells + row * width + left, cells + row * width + right, value);
    }
  }
  return grid;
}

}  // namespace

PYBIND11_MODULE(_host, module) {
  module.doc() = "Facts about this build and this processor, and maps of QPs.";
  module.def(
      "build_facts",
      [] {
        py::dict facts;
        facts["compiler"] = VQE_FAST_COMPILER;
        facts["torch_headers"] = VQE_FAST_TORCH_HEADERS;
        facts["torch_target"] = VQE_FAST_TORCH_TARGET;
        facts["cuda_toolkit"] = VQE_FAST_CUDA_TOOLKIT;
        facts["cuda_archs"] = VQE_FAST_CUDA_ARCHS;
        return facts;
      },
      "Compiler, torch headers, oldest torch that the libraries load on, CUDA toolkit and archs; "
      "empty strings where there was none.");
  module.def(
      "isa", [] { return vqe_fast::isa_name(vqe_fast::isa_level()); },
      "ISA level that the CPU kernels use.");
  module.def(
      "best_isa", [] { return vqe_fast::isa_name(vqe_fast::best_isa()); },
      "Highest ISA level of this processor that the CPU kernels know.");
  module.def("paint_qp", &paint_qp, py::arg("blocks"), py::arg("base"), py::arg("height"),
             py::arg("width"), py::arg("cell"),
             "Blocks of any size on a regular grid; see vqe_fast.video.qp.block_map.");
}
