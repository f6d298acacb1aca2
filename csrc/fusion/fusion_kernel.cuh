// The kernels of fusion on a GPU. They include no CUDA header: the tests run them on the host.
#pragma once

#include "fusion/sharpen_kernel.cuh"
#include "fusion/variance_kernel.cuh"
