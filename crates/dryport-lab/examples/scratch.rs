use dryport_lab::*; use std::time::Instant;
fn main(){ Privilege::enter().unwrap();
 for order in 0..4 { 
 let t=Instant::now(); let (c,s)=(Namespace::new().unwrap(),Namespace::new().unwrap()); let a=t.elapsed();
 c.add_veth("va",&s,"vb").unwrap(); let b=t.elapsed();
 c.add_address("va","10.77.0.1".parse().unwrap(),24).unwrap(); s.add_address("vb","10.77.0.2".parse().unwrap(),24).unwrap(); let d=t.elapsed();
 c.add_address("va","fd77::1".parse().unwrap(),64).unwrap(); s.add_address("vb","fd77::2".parse().unwrap(),64).unwrap(); 
 if order%2==0 {c.set_link("va",true).unwrap(); s.set_link("vb",true).unwrap();} else {s.set_link("vb",true).unwrap(); c.set_link("va",true).unwrap(); } let e=t.elapsed();
 let l=s.run(||std::net::TcpListener::bind("[::]:9000").unwrap()).unwrap();
 let r=c.run(||std::net::TcpStream::connect("10.77.0.2:9000").map(|_|())).unwrap(); let x=t.elapsed();
 let r6=c.run(||std::net::TcpStream::connect("[fd77::2]:9000").map(|_|())).unwrap(); let x6=t.elapsed();
 c.wait_until_running("va").unwrap(); let f=t.elapsed(); s.wait_until_running("vb").unwrap(); let g=t.elapsed(); drop(l);
 println!("{order} new {a:?} veth {b:?} addr {d:?} up {e:?} connect {r:?} {x:?} {r6:?} {x6:?} va {f:?} vb {g:?}"); }
}
