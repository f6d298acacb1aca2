"""Machine code is read as it is executed."""

from sass import body, count, functions, hottest_loop, loops, wide_and_narrow

ADD = """
	.target	sm_90

		Function : _Z3addPf
	.headerflags	@"EF_CUDA_SM90"
        /*0000*/                   LDC R1, c[0x0][0x28] ;      /* 0x00000a00ff017b82 */
                                                               /* 0x000ff00000000800 */
        /*0010*/                   MOV R2, 0x40 ;              /* 0x0 */
        /*0020*/                   LDG.E.128 R4, [R2.64] ;     /* 0x0 */
        /*0030*/               @P0 BRA 0x20 ;                  /* 0x0 */
        /*0040*/                   LDG.E.U16 R8, [R2.64] ;     /* 0x0 */
        /*0050*/                   FADD R4, R4, R8 ;           /* 0x0 */
        /*0060*/              @!P1 BRA 0x80 ;                  /* 0x0 */
        /*0070*/                   CALL.REL.NOINC 0xd0 ;       /* 0x0 */
        /*0080*/                   STG.E.128 [R2.64], R4 ;     /* 0x0 */
        /*0090*/             @!UP0 BRA 0x20 ;                  /* 0x0 */
        /*00a0*/               @P2 BRA 0x10 ;                  /* 0x0 */
        /*00b0*/                   EXIT ;                      /* 0x0 */
        /*00d0*/                   MUFU.RCP R4, R4 ;           /* 0x0 */
        /*00e0*/                   RET.REL.NODEC R2 0x0 ;      /* 0x0 */
        /*00f0*/                   BRA 0xf0;                   /* 0x0 */
        /*0100*/                   NOP;                        /* 0x0 */
		Function : empty
        /*0000*/                   EXIT ;                      /* 0x0 */
        /*0010*/                   BRA 0x10;                   /* 0x0 */
        /*0020*/                   NOP;                        /* 0x0 */
"""


def test_functions_and_what_they_execute():
    """Slow paths, padding and the branch to itself at the end are no part of it."""
    found = functions(ADD)
    assert list(found) == ["_Z3addPf", "empty"]
    assert [len(body(function)) for function in found.values()] == [12, 1]
    assert hottest_loop(body(found["empty"])) is None


def test_loops():
    """Two ends of one loop are one; the hottest has the most instructions outside of inner ones."""
    code = body(functions(ADD)["_Z3addPf"])
    assert [(loop[0].address, loop[-1].address) for loop in loops(code)] == [
        (0x10, 0xA0),
        (0x20, 0x90),
    ]
    hottest = hottest_loop(code)
    assert [hottest[0].address, hottest[-1].address] == [0x20, 0x90]
    assert count(hottest, "FADD", "BRA") == 4 and count(code, "CALL") == 1
    assert wide_and_narrow(hottest) == (2, 1)
