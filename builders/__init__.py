"""How a layer is made: resolve, plan, build, assemble, push."""
