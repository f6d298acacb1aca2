// Host-side facts for Python: how this build was made and what the processor can do.
#include <pybind11/pybind11.h>

#include "isa.h"

namespace py = pybind11;

PYBIND11_MODULE(_host, module) {
  module.doc() = "Facts about this build and this processor.";
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
}
